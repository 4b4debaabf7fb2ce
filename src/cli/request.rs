//! Owns turning what was typed, and what is configured, into a request.

use std::collections::BTreeMap;

use super::commands::build::BuildArguments;
use super::environment::Environment;
use super::failure::CliError;
use super::input::{self, read_text};
use super::outputs::outputs;
use super::source;
use crate::config::values::{InvalidValue, Platforms};
use crate::config::{ConfigFile, Setting, Settings, unplaced};
use crate::input::InputSource;
use crate::request::{ImageRequest, Limits, PullPolicy, Request, check_variable};
use crate::sources::SourceLocation;

/// What the options say that could also be configured.
pub(super) fn configured(arguments: &BuildArguments) -> Result<ConfigFile, CliError> {
    let mut flags = ConfigFile::default();
    input::configured(&arguments.input, &mut flags);
    let (builder, image) = (&arguments.builder, &arguments.image);
    let choice = |error: InvalidValue| CliError::usage(error.to_string());
    flags.build.builder = builder.builder.clone().map(unplaced);
    flags.build.source_builder = arguments.source.source_builder.clone().map(unplaced);
    flags.build.assemble =
        builder.assemble.as_deref().map(|text| text.parse().map(unplaced).map_err(choice)).transpose()?;
    configured_pull(builder.pull.as_deref(), &mut flags)?;
    flags.build.platform = Platforms::of(image.platform.clone()).map(unplaced);
    flags.build.labels =
        image.label.iter().map(|(name, value)| (name.clone(), unplaced(value.clone()))).collect();
    if !image.port.is_empty() {
        flags.build.ports = Some(unplaced(image.port.clone()));
    }
    flags.limits.memory = builder.memory.map(unplaced);
    flags.limits.cpus = builder.cpus.map(unplaced);
    flags.limits.pids = builder.pids_limit.map(unplaced);
    flags.limits.timeout = builder.timeout.map(unplaced);
    flags.network.chunk_size = arguments.output.chunk_size.map(unplaced);
    Ok(flags)
}

/// What `--pull` says, for every command that has it.
pub(super) fn configured_pull(pull: Option<&str>, flags: &mut ConfigFile) -> Result<(), CliError> {
    let choice = |error: InvalidValue| CliError::usage(error.to_string());
    flags.build.pull = pull.map(|text| text.parse().map(unplaced).map_err(choice)).transpose()?;
    Ok(())
}

/// When images are pulled, and whether the network is forbidden.
pub(super) fn pulling(settings: &Settings) -> Result<(PullPolicy, bool), CliError> {
    let (pull, offline) = (&settings.build.pull, &settings.network.offline);
    if offline.value && pull.value == PullPolicy::Always {
        return Err(CliError::usage(format!(
            "pulling is set to always by {}, and offline by {}",
            pull.origin, offline.origin
        ))
        .with_hint("pass `--pull missing`, or remove `--offline`"));
    }
    Ok((pull.value, offline.value))
}

/// Makes the request.
pub(super) fn request(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<Request, CliError> {
    let (pull, offline) = (settings.build.pull.value, settings.network.offline.value);
    let location = source::location(arguments)?;
    let artifacts: Vec<InputSource> = match &location {
        Some(_) => Vec::new(),
        None => {
            arguments.artifacts.iter().map(|artifact| input::source(artifact)).collect::<Result<_, _>>()?
        }
    };
    let has_network = match &location {
        Some(SourceLocation::Archive(source)) => matches!(source, InputSource::Url(_)),
        Some(location) => matches!(location, SourceLocation::Git(_)),
        None => artifacts.iter().any(|artifact| matches!(artifact, InputSource::Url(_))),
    };
    let input = input::options(&arguments.input, has_network, settings)?;
    let source_build = location
        .map(|location| source::source_build(location, arguments, settings, environment))
        .transpose()?;
    let builder = &arguments.builder;
    Ok(Request {
        artifacts,
        input,
        main_class: arguments.input.main_class.clone(),
        builder: settings.build.builder.as_ref().map(|builder| builder.value.clone()),
        assemble: settings.build.assemble.value,
        limits: Limits {
            assemble_user: builder.assemble_user.as_ref().map(ToString::to_string),
            allow_root: builder.allow_root,
            allow_root_sandbox: builder.allow_root_sandbox,
            memory: value(&settings.limits.memory).map(|size| size.0),
            nano_cpus: value(&settings.limits.cpus).map(|cpus| cpus.0),
            pids: value(&settings.limits.pids),
            network: builder.network.clone().filter(|network| network != "none"),
            timeout: value(&settings.limits.timeout).map(|period| period.0),
        },
        platforms: value(&settings.build.platform).map_or_else(Vec::new, |all| all.as_slice().to_vec()),
        image: image(arguments, settings, environment)?,
        tags: arguments.image.tag.clone(),
        outputs: outputs(arguments)?,
        run: arguments.output.run,
        pull,
        offline,
        compression: arguments.output.compression.unwrap_or_default(),
        ignore_memo: arguments.output.no_memo,
        date: environment.source_date_epoch()?,
        source_build,
        ..Request::default()
    })
}

fn value<T: Clone>(setting: &Option<Setting<T>>) -> Option<T> {
    setting.as_ref().map(|setting| setting.value.clone())
}

fn image(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<ImageRequest, CliError> {
    let typed = &arguments.image;
    let env = variables(arguments, settings, environment)?;
    let sets_args = env.iter().any(|(name, _)| name == "ARGS");
    // What was typed wins over what is configured: `--env ARGS` too.
    let configured = || value(&settings.build.args).map(|words| words.0).filter(|_| !sets_args);
    let args = Some(arguments.args.clone()).filter(|args| !args.is_empty()).or_else(configured);
    let mut annotations = BTreeMap::new();
    annotations.extend(typed.annotation.iter().cloned());
    let ports = value(&settings.build.ports).unwrap_or_default();
    Ok(ImageRequest {
        args,
        env,
        labels: settings
            .build
            .labels
            .iter()
            .map(|(name, setting)| (name.clone(), setting.value.clone()))
            .collect(),
        annotations,
        ports,
        working_dir: typed.workdir.clone(),
        user: typed.user.clone(),
        entrypoint: typed.entrypoint.clone().map(|entrypoint| entrypoint.0),
        health_cmd: typed.health_cmd.clone(),
        stop_signal: typed.stop_signal.clone(),
        context_path: typed.context_path.clone(),
    })
}

/// The image's variables: configured, from files, typed. A later one replaces the value of an earlier one of the
/// same name and keeps its place.
fn variables(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<Vec<(String, String)>, CliError> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match variables.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => variables.push((name.to_owned(), value.to_owned())),
    };
    for (name, setting) in &settings.build.env {
        set(name, &setting.value);
    }
    for path in &arguments.image.env_file {
        let text = read_text(path, "--env-file")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in text.lines().enumerate() {
            // As Docker reads such files: leading blanks are dropped, quotes are kept.
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason: String| {
                CliError::usage(format!("line {} of `{}` is wrong: {reason}", number + 1, path.display()))
            };
            let (name, value) = variable(line, environment).map_err(wrong)?;
            let checked = check_variable(&name, value.as_deref().unwrap_or_default());
            checked.map_err(|error| wrong(error.to_string()))?;
            if let Some(value) = value {
                set(&name, &value);
            }
        }
    }
    for text in &arguments.image.env {
        let (name, value) = variable(text, environment)
            .map_err(|reason| CliError::usage(format!("`--env` is wrong: {reason}")))?;
        // As Docker does: a variable that is not set here is not set there.
        if let Some(value) = value {
            set(&name, &value);
        }
    }
    Ok(variables)
}

/// Reads `NAME=VALUE`, or `NAME` with the value it has in this environment, if it has one.
pub(super) fn variable(text: &str, environment: &Environment) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => match environment.exact(text) {
            Ok(value) => (text, value.map(str::to_owned)),
            Err(_) => return Err(format!("the variable `{text}` is not UTF-8")),
        },
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod table;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{self, Cli};
    use crate::cli::commands::Command;
    use crate::config::{Sources, load};
    use crate::request::AssembleRequest;
    use crate::transport::Transport;

    /// The request that `b2i build` makes of these arguments, variables and user's configuration.
    pub(super) fn parsed(
        arguments: &[&str],
        environment: Environment,
        user: &str,
    ) -> Result<Request, CliError> {
        let line = ["b2i", "build"].iter().chain(arguments).map(Into::into).collect();
        let parsed =
            arguments::parse(line, &environment).map_err(|error| CliError::usage(error.to_string()))?;
        let Cli { command: Command::Build(build), .. } = parsed else { panic!("b2i build is a build") };
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), user).expect("writing");
        let settings = load(Sources {
            flags: configured(&build)?,
            variables: environment.for_configuration(),
            user: Some(file.path().to_owned()),
            ..Sources::default()
        })?;
        let request = request(&build, &settings, &environment)?;
        request.validate()?;
        Ok(request.without_repetitions())
    }

    fn valid(arguments: &[&str], user: &str) -> Request {
        parsed(arguments, Environment::default(), user).expect("valid")
    }

    #[test]
    fn nothing_typed_means_the_defaults() {
        let request = valid(&["app.jar"], "");
        assert_eq!(request.image, ImageRequest::default());
        assert_eq!(request.limits, Limits::default());
        assert_eq!((request.assemble, request.pull), (AssembleRequest::Auto, PullPolicy::Missing));
        assert_eq!(request.input.max_size, 4 << 30);
        assert!(request.tags.is_empty() && request.outputs.is_empty() && request.date.is_none());
    }

    #[test]
    fn everything_typed_arrives() {
        let arguments = "app.jar --builder java:21 --assemble docker --pull never --assemble-user 1001 --memory 1g \
            --cpus 0.5 --pids-limit 9 --network bridge --timeout 5m --allow-root --main-class a.B --keep-tree \
            --path bin/app --as artifact --max-size 1kB --add lib:/opt/lib -t u/a:1 -t u/a:1 -t u/b:2 --label x=1=2 \
            --annotation y= --port 80 --port 53/udp --workdir /srv --user 7:0 --entrypoint /bin/run \
            --health-cmd true --stop-signal QUIT --platform linux/arm64 --context-path /shop -o docker \
            -o docker-archive:out.tar --push -o registry -o oci:lay -o oci-archive:o.tar --compression zstd:3 --no-memo";
        let arguments: Vec<&str> = arguments.split_whitespace().chain(["--", "--port", "a b"]).collect();
        let environment = Environment::from([("SOURCE_DATE_EPOCH", "12")]);
        let request = parsed(&arguments, environment, "").expect("valid");
        let text = format!("{request:?}");
        for part in [
            r#"builder: Some(Template { name: "java", version: Some("21") })"#,
            "assemble: Docker",
            "pull: Never",
            r#"assemble_user: Some("1001"), allow_root: true, allow_root_sandbox: false, memory: Some(1073741824), nano_cpus: Some(500000000), pids: Some(9), network: Some("bridge"), timeout: Some(300s)"#,
            r#"max_size: 1000, member_path: Some("bin/app"), keep_tree: true, treat_as: Some(Artifact)"#,
            r#"AddRequest { source: "lib", destination: Some("/opt/lib") }"#,
            r#"args: Some(["--port", "a b"])"#,
            r#"labels: {"x": "1=2"}, annotations: {"y": ""}, ports: [Port { number: 80, protocol: "tcp" }, Port { number: 53, protocol: "udp" }]"#,
            r#"user: Some(User("7:0")), entrypoint: Some(["/bin/run"]), health_cmd: Some("true"), stop_signal: Some(StopSignal("SIGQUIT")), context_path: Some(ContextPath("/shop"))"#,
            r#"outputs: [Registry, Docker, DockerArchive { path: "out.tar" }, OciDirectory { path: "lay" }, OciArchive { path: "o.tar" }]"#,
            r#"compression: Fixed(Method { codec: Zstd, level: 3 }), ignore_memo: true"#,
            "date: Some(12)",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let tags: Vec<String> = request.tags.iter().map(|tag| tag.familiar()).collect();
        assert_eq!(tags, ["u/a:1", "u/b:2"]);
    }

    #[test]
    fn pushing_needs_a_name_that_one_may_push_to() {
        for arguments in [&["a", "--push"][..], &["a", "--push", "-t", "app:1"], &["a", "-o", "registry"]] {
            let error = parsed(arguments, Environment::default(), "").expect_err("no place to push to");
            let text = error.render().expect("there is a message");
            assert!(text.contains("registry.example/team/"), "{text}");
        }
        for name in ["user/app", "localhost:5000/app:1", "registry.example/app"] {
            assert_eq!(valid(&["a", "--push", "-t", name], "").outputs, [Transport::Registry], "{name}");
        }
    }

    #[test]
    fn variables_come_from_configuration_files_and_arguments() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "\u{feff}# comment\nFILE=a b \n  B=file\nTAKEN\nMISSING\nQ=\"q\"\n")
            .expect("writing");
        let path = file.path().to_str().expect("UTF-8");
        let environment = Environment::from([("TAKEN", "from here"), ("EMPTY", "")]);
        let arguments =
            ["a", "-e", "B=typed", "--env-file", path, "-e", "EMPTY", "-e", "NOT_SET", "-e", "C=1=2"];
        let request =
            parsed(&arguments, environment, "[build.env]\nA = 'config'\nB = 'config'").expect("valid");
        let pairs: Vec<String> =
            request.image.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            pairs,
            ["A=config", "B=typed", "FILE=a b ", "TAKEN=from here", "Q=\"q\"", "EMPTY=", "C=1=2"]
        );
    }

    #[test]
    fn typed_arguments_win_over_configured_ones() {
        let user = "[build]\nargs = \"--port '8 0'\"\nports = ['1']\nlabels = { a = 'config', b = 'config' }";
        let args = |arguments: &[&str]| valid(arguments, user).image.args;
        assert_eq!(args(&["a"]), Some(vec!["--port".into(), "8 0".into()]));
        assert_eq!(args(&["a", "--", "x"]), Some(vec!["x".into()]));
        // ARGS as a variable replaces the configured arguments and stays a variable.
        let request = valid(&["a", "-e", "ARGS=x"], user);
        assert_eq!((request.image.args, request.image.env.len()), (None, 1));
        let image = valid(&["a", "--port", "2", "--label", "a=typed"], user).image;
        assert_eq!(image.ports, ["2/tcp".parse().expect("a port")]);
        assert_eq!(image.labels, [("a".into(), "typed".into()), ("b".into(), "config".into())].into());
    }

    #[test]
    fn secrets_are_not_in_messages() {
        for arguments in [&["a", "-e", "B AD=hunter2"][..], &["a", "-e", "=hunter2"]] {
            let error = parsed(arguments, Environment::default(), "").expect_err("a bad name");
            assert!(!error.render().expect("there is a message").contains("hunter2"));
        }
    }
}
