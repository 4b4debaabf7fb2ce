//! Owns parsing one ONBUILD instruction of an image's config. Must not know the sources.
//!
//! It refuses what b2i cannot execute exactly. `parse-dockerfile` and `dockerfile-parser` were weighed: they leave
//! words and variables to the caller, and only those are difficult in a single line.

use super::lexer::{Variables, expand, split};

/// One instruction, with variables replaced where Docker replaces them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    Copy(Copy),
    Arg {
        name: String,
        default: Option<String>,
    },
    Cmd(Command),
    Entrypoint(Command),
    Env(Vec<(String, String)>),
    Expose(Vec<String>),
    /// A command for the shell; empty disables the health check of the image.
    HealthCheck(String),
    Label(Vec<(String, String)>),
    Run(Command),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    WorkDir(String),
}

/// `COPY` or `ADD`, with paths as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) sources: Vec<String>,
    pub(super) destination: String,
    /// `USER[:GROUP]`; `None` is root.
    pub(super) owner: Option<String>,
    /// Whether it unpacks archives.
    pub(super) unpacks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Shell(String),
    Exec(Vec<String>),
}

/// # Errors
/// The reason why b2i does not execute it, as a clause.
pub(super) fn read(text: &str, variables: &dyn Variables) -> Result<Instruction, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let one = || expand(rest, variables).and_then(|value| not_empty(value, "it has no value"));
    Ok(match word.to_ascii_uppercase().as_str() {
        "ADD" => copy(rest, true, variables)?,
        "COPY" => copy(rest, false, variables)?,
        "ARG" => argument(rest, variables)?,
        "CMD" => Instruction::Cmd(command(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(rest)?),
        "RUN" => Instruction::Run(run(rest)?),
        "ENV" => Instruction::Env(pairs(rest, variables)?),
        "LABEL" => Instruction::Label(pairs(rest, variables)?),
        "EXPOSE" => Instruction::Expose(ports(rest, variables)?),
        "HEALTHCHECK" => health_check(rest)?,
        "STOPSIGNAL" => Instruction::StopSignal(one()?),
        "USER" => Instruction::User(one()?),
        "VOLUME" => Instruction::Volume(paths(rest, variables)?),
        "WORKDIR" => Instruction::WorkDir(one()?),
        "SHELL" => return Err("b2i runs ONBUILD commands with the shell of the image".into()),
        other => return Err(format!("`{other}` is not supported")),
    })
}

fn not_empty(value: String, reason: &str) -> Result<String, String> {
    if value.is_empty() { Err(reason.to_owned()) } else { Ok(value) }
}

/// Splits off the options at the beginning (`--chown=1001:0`).
fn options(text: &str) -> (Vec<&str>, &str) {
    let (mut options, mut rest) = (Vec::new(), text);
    while rest.starts_with("--") {
        let (option, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        options.push(option);
        rest = after.trim_start();
    }
    (options, rest)
}

fn copy(text: &str, unpacks: bool, variables: &dyn Variables) -> Result<Instruction, String> {
    let (options, rest) = options(text);
    let mut owner = None;
    for option in options {
        match option.strip_prefix("--chown=") {
            Some(user) => owner = Some(not_empty(expand(user, variables)?, "`--chown` has no user")?),
            None => return Err(format!("the option `{option}` is not supported")),
        }
    }
    if rest.contains("<<") {
        return Err("b2i copies only files of the sources, not text of the instruction".into());
    }
    let mut paths = paths(rest, variables)?;
    let destination = paths.pop().unwrap_or_default();
    if paths.is_empty() {
        return Err("it has no destination".into());
    }
    let is_remote = |path: &String| path.contains("://") || path.starts_with("git@");
    if let Some(remote) = paths.iter().find(|path| is_remote(path)) {
        return Err(format!("`{remote}` is not in the sources"));
    }
    Ok(Instruction::Copy(Copy { sources: paths, destination, owner, unpacks }))
}

/// Paths as a JSON list, or as words.
fn paths(text: &str, variables: &dyn Variables) -> Result<Vec<String>, String> {
    let words = json(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    let expanded: Result<Vec<String>, String> = words.iter().map(|word| expand(word, variables)).collect();
    let expanded = expanded?;
    match expanded.is_empty() || expanded.iter().any(String::is_empty) {
        true => Err("one of its paths is empty".into()),
        false => Ok(expanded),
    }
}

fn json(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// Docker passes an invalid JSON list to the shell.
fn command(text: &str) -> Result<Command, String> {
    match json(text) {
        Some(words) => Ok(Command::Exec(words)),
        None => Ok(Command::Shell(not_empty(text.to_owned(), "it has no command")?)),
    }
}

fn run(text: &str) -> Result<Command, String> {
    let (options, rest) = options(text);
    if let Some(option) = options.first() {
        return Err(format!("the option `{option}` is not supported"));
    }
    if rest.starts_with("<<") {
        return Err("scripts in an instruction (`<<`) are not supported".into());
    }
    match command(rest)? {
        Command::Exec(words) if words.first().is_none_or(String::is_empty) => Err("it has no command".into()),
        command => Ok(command),
    }
}

/// Only newer Dockerfiles have several arguments in one instruction.
fn argument(text: &str, variables: &dyn Variables) -> Result<Instruction, String> {
    let words = split(text);
    let [word] = &words[..] else {
        return Err("several arguments in one instruction are not supported".into());
    };
    let (name, default) = match word.split_once('=') {
        Some((name, default)) => (name, Some(expand(default, variables)?)),
        None => (word.as_str(), None),
    };
    let name = not_empty(expand(name, variables)?, "the argument has no name")?;
    Ok(Instruction::Arg { name, default })
}

/// `NAME=VALUE …`, or one `NAME VALUE` in the old form.
fn pairs(text: &str, variables: &dyn Variables) -> Result<Vec<(String, String)>, String> {
    let words = split(text);
    let first = words.first().ok_or("it has no name")?;
    if !first.contains('=') {
        let (name, value) = text.split_once(char::is_whitespace).ok_or("it has no value")?;
        return Ok(vec![(expand(name, variables)?, expand(value.trim(), variables)?)]);
    }
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not `NAME=VALUE`"))?;
        let name = not_empty(expand(name, variables)?, "one of its names is empty")?;
        Ok((name, expand(value, variables)?))
    };
    words.iter().map(pair).collect()
}

fn ports(text: &str, variables: &dyn Variables) -> Result<Vec<String>, String> {
    let port = |word: &str| {
        let word = expand(word, variables)?;
        let (number, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        match number.parse::<u16>() {
            Ok(number) if matches!(protocol.as_str(), "tcp" | "udp" | "sctp") => {
                Ok(format!("{number}/{protocol}"))
            }
            _ => Err(format!("`{word}` is not a single port")),
        }
    };
    let ports: Result<Vec<String>, String> = text.split_whitespace().map(port).collect();
    ports.and_then(|ports| if ports.is_empty() { Err("it has no port".into()) } else { Ok(ports) })
}

/// `NONE`, or a command for the shell without options: b2i has no setting for the other forms.
fn health_check(text: &str) -> Result<Instruction, String> {
    if text.eq_ignore_ascii_case("NONE") {
        return Ok(Instruction::HealthCheck(String::new()));
    }
    let unsupported =
        || "only `NONE` and `CMD` with a command for the shell, without options, are supported".to_owned();
    let (word, rest) = text.split_once(char::is_whitespace).ok_or_else(unsupported)?;
    match command(rest.trim())? {
        Command::Shell(command) if word.eq_ignore_ascii_case("CMD") => Ok(Instruction::HealthCheck(command)),
        _ => Err(unsupported()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home;

    impl Variables for Home {
        fn value(&self, name: &str) -> Option<&str> {
            (name == "HOME").then_some("/srv")
        }
    }

    fn reads(text: &str) -> Instruction {
        read(text, &Home).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn every_form_says_what_docker_reads_in_it() {
        let copy = |sources: &[&str], destination: &str, owner: Option<&str>| {
            Instruction::Copy(Copy {
                sources: sources.iter().map(ToString::to_string).collect(),
                destination: destination.to_owned(),
                owner: owner.map(str::to_owned),
                unpacks: false,
            })
        };
        assert_eq!(reads("COPY . $HOME/app"), copy(&["."], "/srv/app", None));
        assert_eq!(reads("copy --chown=1001:0 a b ./"), copy(&["a", "b"], "./", Some("1001:0")));
        assert_eq!(reads(r#"COPY ["a b", "/c d/"]"#), copy(&["a b"], "/c d/", None));
        assert_eq!(
            reads("RUN cd $HOME && make"),
            Instruction::Run(Command::Shell("cd $HOME && make".into()))
        );
        let exec = Command::Exec(vec!["make".into(), "a b".into()]);
        assert_eq!(reads(r#"RUN ["make", "a b"]"#), Instruction::Run(exec.clone()));
        assert_eq!(reads(r#"CMD ["make", "a b"]"#), Instruction::Cmd(exec));
        assert_eq!(reads("ENTRYPOINT [ -e x ]"), Instruction::Entrypoint(Command::Shell("[ -e x ]".into())));
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(
            reads("ENV A=1 B=\"x y\" C=$HOME"),
            Instruction::Env(pairs(&[("A", "1"), ("B", "x y"), ("C", "/srv")]))
        );
        assert_eq!(reads("ENV OLD one two"), Instruction::Env(pairs(&[("OLD", "one two")])));
        assert_eq!(reads("LABEL a.b='c d'"), Instruction::Label(pairs(&[("a.b", "c d")])));
        assert_eq!(reads("EXPOSE 80 53/udp"), Instruction::Expose(vec!["80/tcp".into(), "53/udp".into()]));
        assert_eq!(
            reads("ARG V=${HOME}/x"),
            Instruction::Arg { name: "V".into(), default: Some("/srv/x".into()) }
        );
        assert_eq!(reads("ARG V"), Instruction::Arg { name: "V".into(), default: None });
        assert_eq!(reads("USER 1001"), Instruction::User("1001".into()));
        assert_eq!(reads("WORKDIR a b"), Instruction::WorkDir("a b".into()));
        assert_eq!(reads("VOLUME /a /b"), Instruction::Volume(vec!["/a".into(), "/b".into()]));
        assert_eq!(reads("HEALTHCHECK NONE"), Instruction::HealthCheck(String::new()));
        assert_eq!(reads("HEALTHCHECK CMD curl x"), Instruction::HealthCheck("curl x".into()));
        assert_eq!(reads("STOPSIGNAL SIGINT"), Instruction::StopSignal("SIGINT".into()));
    }

    #[test]
    fn what_cannot_be_carried_out_exactly_is_refused() {
        for text in [
            "ADD https://host.example/a /b",
            "ADD git@host.example:a.git /b",
            "COPY --from=other a /b",
            "COPY --chmod=755 a /b",
            "COPY <<EOF /a",
            "COPY a",
            "RUN --mount=type=secret,id=x make",
            "RUN <<EOF",
            "RUN []",
            "RUN",
            "SHELL [\"/bin/bash\"]",
            "EXPOSE 7000-7010",
            "HEALTHCHECK --interval=5s CMD curl x",
            "HEALTHCHECK CMD [\"curl\", \"x\"]",
            "MAINTAINER somebody",
            "FROM other",
            "ONBUILD RUN x",
            "ENV =x",
            "ENV A='",
            "USER",
            "ARG A B",
            "",
        ] {
            assert!(read(text, &Home).is_err(), "{text}");
        }
    }
}
