//! Tests of requests that flags, variables and configuration make.

mod table;

use super::*;
use crate::cli::arguments::{self, Cli};
use crate::cli::commands::Command;
use crate::config::{Sources, load};
use crate::request::{AssembleRequest, PullPolicy};
use crate::transport::Transport;

/// The request that `b2i build` makes of these arguments, variables and user's configuration.
pub(super) fn parsed(arguments: &[&str], environment: Environment, user: &str) -> Result<Request, CliError> {
    let line = ["b2i", "build"].iter().chain(arguments).map(Into::into).collect();
    let parsed = arguments::parse(line, &environment).map_err(|error| CliError::usage(error.to_string()))?;
    let Cli { command: Command::Build(build), .. } = parsed else { panic!("b2i build is a build") };
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), user).expect("writing");
    let settings = load(Sources {
        flags: configured(&build),
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
    let arguments = ["a", "-e", "B=typed", "--env-file", path, "-e", "EMPTY", "-e", "NOT_SET", "-e", "C=1=2"];
    let request = parsed(&arguments, environment, "[build.env]\nA = 'config'\nB = 'config'").expect("valid");
    let pairs: Vec<String> =
        request.image.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["A=config", "B=typed", "FILE=a b ", "TAKEN=from here", "Q=\"q\"", "EMPTY=", "C=1=2"]);
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
