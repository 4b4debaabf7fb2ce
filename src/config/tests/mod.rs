//! Tests of the whole module: files and variables in, settings or an error out.

mod reference;

use std::path::Path;

use super::*;
use crate::diagnostic::Diagnostic;

const EVERYTHING: &str = r#"
[build]
builder = "java:21"
base = "oci:layout:1"
source-builder = "golang"
args = "--port 8080 'a b'"
labels = { team = "web" }
ports = ["8080", "53/udp"]
env = { TZ = "UTC" }
assemble = "docker"
pull = "never"
platform = "linux/arm64"

[bases]
"docker.io/library/debian:12" = "mirror.example/debian:12"

[templates]
directories = ["templates"]

[docker]
host = "unix:///run/x.sock"

[cache]
directory = "cache"

[network]
offline = true
proxies = { http = "proxy.example:3128", https = "http://user:secret@proxy.example", all = "http://p", none = "localhost" }
ca-files = ["/etc/ca.pem", "own.pem"]
connect-timeout = "10s"
read-timeout = "1m"
retries = 3
min-rate = "2KiB"
chunk-size = "10MiB"
max-size = "1GiB"

[registries."registry.example:5000"]
insecure = true
ca-files = ["registry.pem"]
mirrors = ["mirror.example/cache", "oci:bases", "localhost:5000"]
chunk-size = "20MiB"

[limits]
memory = "512MiB"
cpus = 1.5
pids = 100
change-size = "4GiB"
change-files = 5000
timeout = "5m"
"#;

fn directory_with(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("writing the file");
    (directory, path)
}

fn error_of(level: FileLevel, text: &str) -> (String, Vec<String>) {
    let error = file::parse(level, Path::new("b2i.toml"), text).expect_err(text);
    assert_eq!(error.kind(), crate::diagnostic::FailureKind::Usage);
    (error.to_string(), error.hints())
}

#[test]
fn the_null_device_is_an_empty_file() {
    let read = super::file::read(super::file::FileLevel::User, std::path::Path::new("/dev/null"));
    assert_eq!(read.expect("it can be read"), Some(String::new()));
}

#[test]
fn every_key_of_the_table_is_taken_and_shown() {
    let (directory, user) = directory_with("config.toml", EVERYTHING);
    let settings = load(Sources { user: Some(user.clone()), ..Sources::default() }).expect("valid");
    let json = serde_json::to_value(&settings).expect("settings are plain data");
    for key in keys::KEYS.iter() {
        let value = key.path.split('.').try_fold(&json, |value, name| value.get(name));
        let text = value.unwrap_or(&serde_json::Value::Null).to_string();
        assert!(text.contains(r#""level":"user""#), "{} is {text}", key.path);
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(settings.cache.directory.as_ref().expect("set").value, directory.path().join("cache"));
    let ca_files = &settings.network.ca_files.as_ref().expect("set").value;
    assert_eq!(*ca_files, [Path::new("/etc/ca.pem"), &directory.path().join("own.pem")]);
    let base = settings.build.base.as_ref().expect("set").value.to_string();
    assert_eq!(base, format!("oci:{}:1", directory.path().join("layout").display()));
    assert_eq!(settings.build.args.as_ref().expect("set").value.0, ["--port", "8080", "a b"]);
    let hosts = settings.registry_hosts();
    let host = &hosts["registry.example:5000"];
    assert_eq!((host.insecure, host.chunk_size), (true, Some(20 << 20)));
    assert_eq!(host.extra_ca, [directory.path().join("registry.pem")]);
    let layout = format!("oci:{}", directory.path().join("bases").display());
    let mirrors = host.mirrors.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(mirrors, ["mirror.example/cache", &layout, "localhost:5000"]);
    assert_eq!(settings.limits.cpus.expect("set").value.0, 1_500_000_000);
}

#[test]
fn the_highest_level_wins_and_maps_are_merged() {
    let (_keep_project, project) =
        directory_with("b2i.toml", "[build]\nbuilder = 'tomcat'\nlabels = { a = 'project' }");
    let (_keep_user, user) = directory_with(
        "config.toml",
        "[build]\nbuilder = 'java'\nassemble = 'place'\npull = 'never'\n[build.labels]\na = 'user'\nb = 'user'",
    );
    let (_keep_system, system) = directory_with("system.toml", "[build]\nplatform = 'linux/arm64'");
    let mut flags = ConfigFile::default();
    flags.build.pull = Some(unplaced("always".parse().expect("valid")));
    let variables = [("B2I_ASSEMBLE".into(), "docker".into()), ("B2I_BUILDER".into(), String::new())].into();
    let sources = Sources {
        flags,
        variables,
        project: Some(project.clone()),
        user: Some(user.clone()),
        system: Some(system),
        ..Sources::default()
    };
    let settings = load(sources).expect("valid");
    let build = settings.build;
    assert_eq!(build.pull.origin.to_string(), "flag --pull");
    assert_eq!(build.assemble.origin.to_string(), "variable B2I_ASSEMBLE");
    let builder = build.builder.expect("set");
    assert_eq!(builder.value.to_string(), "tomcat", "an empty variable says nothing");
    assert_eq!(builder.origin, Origin::File { level: FileLevel::Project, path: project, line: 2 });
    assert_eq!(build.labels["a"].value, "project");
    assert_eq!(build.labels["b"].origin, Origin::File { level: FileLevel::User, path: user, line: 7 });
    assert!(matches!(build.platform.expect("set").origin, Origin::File { level: FileLevel::System, .. }));
    assert_eq!(settings.network.max_size.origin, Origin::BuiltIn);
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    let (message, hints) = error_of(FileLevel::User, "[build]\nports = ['80']\nbuildr = 'java'\n");
    insta::assert_snapshot!(message, @r"
    unknown key `buildr` in `[build]`
     --> b2i.toml:3:1
      |
    3 | buildr = 'java'
      | ^^^^^^
    ");
    assert_eq!(hints, ["did you mean `builder`?"]);
    assert_eq!(error_of(FileLevel::User, "[biuld]\n").1, ["did you mean `build`?"]);
    // A key that exists in a section, written at the top.
    assert_eq!(error_of(FileLevel::User, "offline = true").1, ["did you mean `network.offline`?"]);
    let (message, hints) = error_of(FileLevel::User, "[registries.'r.example']\ninsecur = true");
    assert!(message.starts_with("unknown key `insecur` in `[registries.\"r.example\"]`"), "{message}");
    assert_eq!(hints, ["did you mean `insecure`?"]);
    let (message, hints) = error_of(FileLevel::User, "[network.proxies]\nftp_server_for_all = 'x'");
    assert!(message.starts_with("unknown key `ftp_server_for_all` in `[network.proxies]`"), "{message}");
    assert_eq!(hints, ["known keys: http, https, all, none"]);
}

#[test]
fn wrong_values_are_shown_in_their_line() {
    let (message, _) = error_of(FileLevel::User, "[network]\nmax-size = \"many\"\n");
    insta::assert_snapshot!(message, @r#"
    `many` is not a size (write `500MB`, `4GiB` or `1048576`)
     --> b2i.toml:2:12
      |
    2 | max-size = "many"
      |            ^^^^^^
    "#);
    for (text, message) in [
        ("[build]\nports = [8080]", "invalid type: integer `8080`, expected a string"),
        ("[build]\nargs = \"'\"", "the single quote at character 1 is not closed"),
        ("build = 1", "`build` is a section; write `[build]` and its keys below"),
        ("[build]\nenv = { ARGS = 'x' }", "`ARGS` is set by `build.args`"),
        ("[bases]\nDebian = 'mirror.example/debian'", "`Debian` is not an image name"),
        ("registries = 1", "`registries` has a section for each registry"),
        ("[registries]\n'registry.example' = 1", "`registries` has a section for each registry"),
        ("[registries.'https://x']\ninsecure = true", "`https://x` is not a registry"),
        ("[registries.'x']\nmirrors = ['http://m']", "`http://m` is not an image name"),
        ("[build", "unclosed table, expected `]`"),
    ] {
        let (found, _) = error_of(FileLevel::User, text);
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn a_project_may_not_touch_the_machine() {
    for (text, key) in [
        ("[docker]\nhost = 'tcp://evil.example'", "docker.host"),
        ("[network]\nca-files = ['ca.pem']", "network.ca-files"),
        ("[network.proxies]\nall = 'http://evil.example'", "network.proxies.all"),
        ("network.offline = false", "network.offline"),
        ("[cache]\ndirectory = '/tmp'", "cache.directory"),
        ("[bases]\ndebian = 'evil.example/debian'", "bases"),
        ("[limits]\nmemory = '1TiB'", "limits.memory"),
        ("[registries.'registry.example']\ninsecure = true", "registries"),
        ("[build]\nassemble = 'docker'", "build.assemble"),
    ] {
        let (message, hints) = error_of(FileLevel::Project, text);
        assert!(
            message.starts_with(&format!("a project's configuration may not set `{key}`: ")),
            "{message}"
        );
        assert!(message.contains("b2i.toml:"), "{message}");
        assert!(hints[0].contains(&format!("set `{key}` in your own configuration")), "{hints:?}");
        assert!(file::parse(FileLevel::User, Path::new("config.toml"), text).is_ok(), "{text}");
    }
}

#[test]
fn a_projects_templates_stay_in_the_project_and_are_not_trusted() {
    for directory in ["/opt/templates", "../templates", "a/../../b"] {
        let (message, _) =
            error_of(FileLevel::Project, &format!("[templates]\ndirectories = ['{directory}']"));
        assert!(message.contains("leaves the project"), "{message}");
    }
    let (directory, project) = directory_with("b2i.toml", "[templates]\ndirectories = ['./own']");
    let settings = load(Sources { project: Some(project), ..Sources::default() }).expect("valid");
    let own = &settings.templates.directories[0].value;
    assert_eq!((own.path.clone(), own.trusted), (directory.path().join("./own"), false));
}

#[test]
fn wrong_variables_are_named() {
    for (name, value, message) in [
        (
            "B2I_OFFLINE",
            "maybe",
            "environment variable `B2I_OFFLINE` is not valid: `maybe` is neither true (1) nor false (0)",
        ),
        (
            "B2I_RETRIES",
            "-1",
            "environment variable `B2I_RETRIES` is not valid: invalid digit found in string",
        ),
        (
            "HTTPS_PROXY",
            "http://",
            "environment variable `HTTPS_PROXY` is not valid: not the address of a proxy",
        ),
    ] {
        let variables = [(name.to_owned(), value.to_owned())].into();
        let error = load(Sources { variables, ..Sources::default() }).expect_err(name);
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_a_named_file_must_be_there() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let project = Some(directory.path().to_owned());
    let error = load(Sources { project, ..Sources::default() }).expect_err("a directory");
    assert!(matches!(error, Error::Read { .. }), "{error}");
    let missing = Some(directory.path().join("missing.toml"));
    let sources = Sources { user: missing, ..Sources::default() };
    assert!(load(sources.clone()).is_ok());
    let error = load(Sources { user_is_required: true, ..sources }).expect_err("missing");
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}
