//! Owns turning all instructions into the steps in the container and the config of the result. Must not run anything.

use std::collections::BTreeMap;

use super::copy::select;
use super::instruction::{Command, Instruction, read};
use super::lexer::Variables;
use super::{OnBuild, OnBuildError, RunStep, Step};
use crate::image::{ConfigEdits, ImageConfig, ImagePath};
use crate::plan::start_command;
use crate::source_build::extraction::resolve;
use crate::sources::scripts::file_needs_shell;
use crate::sources::{SourceTree, TreeEntryKind};

/// The default shell of an image.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Names of the script that starts the result, each also with `.sh`.
const ENTRY_NAMES: [&str; 4] = ["run", "start", "exec", "execute"];

pub struct OnBuildContext<'a> {
    /// The name of the builder image.
    pub image: &'a str,
    /// The config of the builder image.
    pub config: &'a ImageConfig,
    /// The sources, with the scripts from outside in their root.
    pub tree: &'a SourceTree,
    /// Variables of the image. They have precedence over `ENV` instructions.
    pub environment: &'a [(String, String)],
    /// The script that runs after the instructions.
    pub assemble: Option<AssembleScript>,
}

pub enum AssembleScript {
    /// A script in the root of the sources, which the instructions copy to the working directory.
    OfSources,
    OfImage(ImagePath),
}

/// The script that starts the result, by S2I's rule: the first executable in the root of the sources with one of the names.
pub fn entry_script(tree: &SourceTree) -> Option<&str> {
    let is_entry = |name: &str| ENTRY_NAMES.contains(&name.strip_suffix(".sh").unwrap_or(name));
    let runs = |mode: u32| mode & 0o111 != 0;
    let found = tree.entries.iter().find(|entry| {
        is_entry(&entry.path) && runs(entry.mode) && matches!(entry.kind, TreeEntryKind::File { .. })
    });
    found.map(|entry| entry.path.as_str())
}

impl OnBuild {
    /// # Errors
    /// [`OnBuildError`] with the first instruction that b2i cannot execute.
    pub fn plan(context: &OnBuildContext<'_>) -> Result<Self, OnBuildError> {
        let mut state = State::new(context);
        for instruction in context.config.list("OnBuild") {
            state.follow(&instruction).map_err(|reason| OnBuildError {
                image: context.image.to_owned(),
                instruction: instruction.trim().to_owned(),
                reason,
            })?;
        }
        state.assemble();
        let users = state.users;
        let edits = ConfigEdits { env: state.environment.into_iter().collect(), ..state.edits };
        Ok(Self { steps: state.steps, edits, users, directory: state.directory })
    }
}

/// The effect of the earlier instructions on later ones.
struct State<'a> {
    context: &'a OnBuildContext<'a>,
    steps: Vec<Step>,
    edits: ConfigEdits,
    environment: BTreeMap<String, String>,
    arguments: BTreeMap<String, String>,
    users: Vec<String>,
    directory: ImagePath,
    shell: Vec<String>,
}

impl Variables for State<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let set = self.environment.get(name).map(String::as_str);
        // As in Docker, a variable hides an argument of the same name.
        let own = set.or_else(|| self.context.config.env(name));
        own.or_else(|| self.arguments.get(name).map(String::as_str))
    }
}

impl<'a> State<'a> {
    fn new(context: &'a OnBuildContext<'a>) -> Self {
        let shell = context.config.list("Shell");
        let root = ImagePath::new("/").expect("absolute and normal");
        Self {
            context,
            steps: Vec::new(),
            edits: ConfigEdits::default(),
            environment: BTreeMap::new(),
            arguments: BTreeMap::new(),
            users: Vec::new(),
            directory: resolve(&root, context.config.working_dir()).unwrap_or(root),
            shell: if shell.is_empty() { SHELL.map(str::to_owned).to_vec() } else { shell },
        }
    }

    fn follow(&mut self, text: &str) -> Result<(), String> {
        match read(text, self)? {
            Instruction::Copy(copy) => {
                let copy = select(copy, text.trim(), &self.directory, self.context.tree)?;
                self.steps.push(Step::Copy(copy));
            }
            Instruction::Run(command) => {
                let shown = format!("ONBUILD {}", text.trim());
                let command = self.command(command);
                self.run(shown, command, None);
            }
            Instruction::Arg { name, default } => {
                // An argument without a default has no value: b2i has no option to set it.
                self.arguments.extend(default.map(|default| (name, default)));
            }
            Instruction::Env(pairs) => self.environment.extend(pairs),
            Instruction::Label(pairs) => self.edits.labels.extend(pairs),
            Instruction::WorkDir(path) => {
                self.directory = resolve(&self.directory, &path).map_err(|error| error.to_string())?;
                self.edits.working_dir = Some(self.directory.to_string());
                self.steps.push(Step::Directory(self.directory.clone()));
            }
            Instruction::User(user) => {
                self.edits.user = Some(user.clone());
                self.users.push(user);
            }
            Instruction::Cmd(command) => self.edits.cmd = Some(self.command(command)),
            Instruction::Entrypoint(command) => {
                self.edits.entrypoint = Some(self.command(command));
                // As in Docker: the command of the base was for another entrypoint.
                self.edits.cmd.get_or_insert_default();
            }
            Instruction::Expose(ports) => self.edits.exposed_ports.extend(ports),
            Instruction::Volume(paths) => self.edits.volumes.extend(paths),
            Instruction::StopSignal(signal) => self.edits.stop_signal = Some(signal),
            Instruction::HealthCheck(command) => self.edits.health_cmd = Some(command),
        }
        Ok(())
    }

    fn command(&self, command: Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words,
            Command::Shell(text) => self.shell.iter().cloned().chain([text]).collect(),
        }
    }

    fn run(&mut self, shown: String, command: Vec<String>, script: Option<ImagePath>) {
        let mut environment: BTreeMap<String, String> = self.arguments.clone();
        // A variable of the image hides an argument of the same name.
        environment.retain(|name, _| self.context.config.env(name).is_none());
        environment.extend(self.environment.clone());
        environment.extend(self.context.environment.iter().cloned());
        self.steps.push(Step::Run(RunStep {
            shown,
            command,
            environment: environment.into_iter().collect(),
            user: self.users.last().cloned().unwrap_or_else(|| self.context.config.user().to_owned()),
            directory: self.directory.clone(),
            script,
        }));
    }

    /// S2I always runs it with `sh`. b2i uses the interpreter in its first line.
    fn assemble(&mut self) {
        let Some(assemble) = &self.context.assemble else { return };
        let (path, through_shell) = match assemble {
            AssembleScript::OfImage(path) => (path.clone(), false),
            AssembleScript::OfSources => {
                let path = self.directory.join("assemble").expect("a plain word");
                (path, needs_shell(self.context.tree, "assemble"))
            }
        };
        self.run(path.to_string(), start_command(&path, through_shell), Some(path));
    }
}

/// Whether only a shell can start the script `name` of the sources.
pub fn needs_shell(tree: &SourceTree, name: &str) -> bool {
    match tree.resolve(name).map(|entry| &entry.kind) {
        Some(TreeEntryKind::File { content, .. }) => file_needs_shell(&**content),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::sources::{SourceInfo, TreeEntry};

    fn tree(paths: &[(&str, u32)]) -> SourceTree {
        let mut entries: Vec<TreeEntry> = paths
            .iter()
            .map(|(path, mode)| TreeEntry {
                path: path.trim_end_matches('/').to_owned(),
                kind: match path.ends_with('/') {
                    true => TreeEntryKind::Directory,
                    false => TreeEntryKind::File { size: 3, content: Arc::new(&b"abc"[..]) },
                },
                mode: *mode,
            })
            .collect();
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let info = SourceInfo { location: None, context_directory: None, commit: None };
        SourceTree { name: "shop".into(), info, entries }
    }

    fn decide(instructions: &[&str], tree: &SourceTree) -> Result<OnBuild, OnBuildError> {
        let config = json!({"config": {
            "Env": ["BASE=1", "HIDES=base"], "WorkingDir": "/usr/src", "User": "1000", "Cmd": ["npm", "start"],
            "OnBuild": instructions,
        }});
        let config = ImageConfig::parse(config.to_string().as_bytes()).expect("valid");
        let environment = [("WINS".to_owned(), "user".to_owned())];
        OnBuild::plan(&OnBuildContext {
            image: "team/builder:1",
            config: &config,
            tree,
            environment: &environment,
            assemble: None,
        })
    }

    fn run(on_build: &OnBuild, index: usize) -> &RunStep {
        match &on_build.steps[index] {
            Step::Run(run) => run,
            _ => panic!("step {index} is no command"),
        }
    }

    #[test]
    fn each_command_sees_what_came_before_it() {
        let on_build = decide(
            &[
                "ARG HIDES=arg",
                "ARG MODE=dev",
                "RUN first",
                "ENV MODE=$MODE-$BASE WINS=image",
                "WORKDIR app",
                "USER 1001:0",
                "RUN [\"second\", \"$MODE\"]",
                "LABEL mode=$MODE",
                "EXPOSE 8080",
                "ENTRYPOINT exec $MODE",
            ],
            &tree(&[]),
        )
        .expect("all are carried out");
        let first = run(&on_build, 0);
        assert_eq!(first.command, ["/bin/sh", "-c", "first"]);
        assert_eq!((&*first.user, first.directory.as_str()), ("1000", "/usr/src"));
        let pairs = |run: &RunStep| {
            run.environment.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(pairs(first), ["MODE=dev", "WINS=user"], "the image's variable hides the argument");
        let second = run(&on_build, 2);
        assert_eq!(second.command, ["second", "$MODE"]);
        assert_eq!((&*second.user, second.directory.as_str()), ("1001:0", "/usr/src/app"));
        assert_eq!(pairs(second), ["MODE=dev-1", "WINS=user"]);
        assert_eq!(on_build.edits.labels["mode"], "dev-1");
        assert_eq!(on_build.edits.exposed_ports, ["8080/tcp"]);
        assert_eq!(
            on_build.edits.entrypoint.as_deref().expect("set").last().map(String::as_str),
            Some("exec $MODE")
        );
        assert_eq!(
            on_build.edits.cmd.as_deref(),
            Some(&[][..]),
            "the command below was for another entrypoint"
        );
        assert_eq!(
            (on_build.users.as_slice(), on_build.users.last().map(String::as_str)),
            (&["1001:0".to_owned()][..], Some("1001:0"))
        );
    }

    fn copied(instruction: &str, tree: &SourceTree) -> Result<Vec<String>, String> {
        let on_build = decide(&[instruction], tree).map_err(|error| error.to_string())?;
        let Step::Copy(copy) = &on_build.steps[0] else { panic!("no copy") };
        Ok(copy.entries.keys().map(|path| format!("{}|{path}", copy.destination)).collect())
    }

    #[test]
    fn copies_go_where_docker_puts_them() {
        let tree =
            tree(&[("a.json", 0o644), ("b.json", 0o644), ("lib/", 0o755), ("lib/x", 0o644), ("run", 0o755)]);
        let copied = |instruction: &str| copied(instruction, &tree).expect(instruction);
        assert_eq!(copied("COPY lib /opt"), ["/opt|x"]);
        assert_eq!(copied("COPY lib/ ./deep/"), ["/usr/src/deep|x"]);
        assert_eq!(copied("COPY *.json ./"), ["/usr/src|a.json", "/usr/src|b.json"]);
        assert_eq!(copied("COPY a.json /etc/c.json"), ["/etc/c.json|"]);
        assert_eq!(copied("COPY a.json ."), ["/usr/src|a.json"]);
        assert_eq!(copied("COPY a.json /usr/src"), ["/usr/src|a.json"]);
        assert_eq!(copied("COPY a.json lib /x/"), ["/x|a.json", "/x|x"]);
        assert_eq!(copied("ADD /lib/../run ../"), ["/usr|run"]);
        assert_eq!(copied("COPY . .").len(), 5);
        for refused in
            ["COPY missing /x", "COPY a.json b.json /x", "COPY ../x /x", "COPY *.xml /x/", "COPY [a /x"]
        {
            assert!(super::tests::copied(refused, &tree).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_archive_is_not_added_as_it_is() {
        let mut tree = tree(&[("app.tgz", 0o644)]);
        tree.entries[0].kind = TreeEntryKind::File { size: 4, content: Arc::new(&b"\x1f\x8b\x08\0"[..]) };
        assert!(copied("ADD app.tgz /x", &tree).is_err());
        assert!(copied("COPY app.tgz /x", &tree).is_ok());
    }

    #[test]
    fn the_error_names_the_instruction() {
        let error = decide(&["RUN a", " COPY --from=x a b "], &tree(&[])).err().expect("refused").to_string();
        assert!(
            error.contains("`ONBUILD COPY --from=x a b` of the builder image `team/builder:1`"),
            "{error}"
        );
    }

    #[test]
    fn the_entry_is_the_first_executable_of_its_names() {
        assert_eq!(entry_script(&tree(&[("start.sh", 0o755), ("run", 0o755), ("a", 0o755)])), Some("run"));
        assert_eq!(entry_script(&tree(&[("run", 0o644), ("execute", 0o755)])), Some("execute"));
        assert_eq!(entry_script(&tree(&[("runner", 0o755), ("bin/run", 0o755), ("run/", 0o755)])), None);
    }
}
