//! The command line as people and programs meet it: help, usage errors, configuration, generated texts.

mod help;

use crate::environment::B2iCommand;
use std::io::Read;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::support::Sandbox;

#[test]
fn version_is_printed_to_stdout() {
    let ended = Sandbox::new().run(&["--version"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, concat!("b2i ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn no_command_is_a_usage_error() {
    let ended = Sandbox::new().run(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("Usage: b2i"), "{}", ended.stderr);
}

#[test]
fn usage_errors_say_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.env", "GOOD=1\nB D=2\n");
    let mut errors = String::new();
    for arguments in [
        &["build", "app.jar", "-o", "registry:x"][..],
        &["build", "app.jar", "-o", "docker-archive:a.tar", "-o", "docker-archive:a.tar"],
        &["build", "app.jar", "-o", "docker-archive:-"],
        &["build", "app.jar", "--user", "0:2147483648"],
        &["build", "-app.jar"],
        &["build", "app.jar", "--env", "ARGS=x", "--", "y"],
        &["build", "app.jar", "--env-file", "bad.env"],
        &["build", "app.jar", "--env-file", "missing.env"],
        &["build", "app.jar", "--offline", "--pull", "always"],
        &["build", "app.jar", "--bearer-env", "TOKEN"],
        &["build", "https://host.example/a.jar", "--bearer-env", "TOKEN"],
        &["build", "https://me:hunter2@host.example/a.jar"],
        &["build", "ftp://host.example/a.jar"],
        &[
            "build",
            "app.jar",
            "-t",
            "app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ],
        &["inspect", ""],
        &["build", "app.jar", "--from", "debian:12"],
        &["run", "app:1"],
        &["target/app.jar"],
        &["login", "registry"],
        &["man", "nonsense"],
    ] {
        let ended = sandbox.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
        errors.push_str(&ended.stderr);
        errors.push('\n');
    }
    assert!(!errors.contains("hunter2"));
    assert_snapshot!(errors, @r"
    error: `registry:x` is not a valid output

    hint: write docker, registry, oci:DIR, oci-archive:FILE or docker-archive:FILE

    error: `a.tar` is written twice (--output)

    error: cannot write `docker-archive:-`: standard output is for the result's name and digest

    hint: to stream the archive, pass `/dev/fd/N` or a named pipe; for a file named `-`, pass `./-`

    error: invalid value '0:2147483648' for '--user <USER>': `2147483648` exceeds the largest user or group ID, 2147483647

    For more information, try '--help'.

    error: unexpected argument '-a' found

      tip: write a file name that begins with a dash as `./-NAME`

    Usage: b2i build [OPTIONS] <ARTIFACT>... [-- <ARGS>...]

    For more information, try '--help'.

    error: `--env ARGS` and the arguments after `--` set the same value

    hint: keep the arguments after `--`; b2i quotes them for ARGS

    error: line 2 of `bad.env` is not valid: `B D` is not a valid name of an environment variable

    error: cannot read `missing.env` (--env-file)
      caused by: No such file or directory (os error 2)

    error: `--pull always` needs the network, but `--offline` is set

    hint: pass `--pull missing`, or remove `--offline`

    error: `--bearer-env` is for downloads; the artifact is not a URL

    hint: remove `--bearer-env`, or pass an http or https URL

    error: the variable `TOKEN` is not set (--bearer-env)

    error: the URL on `host.example` contains a user name or password

    hint: every user of this machine can read arguments: use ~/.netrc or `--netrc-file FILE`
    hint: for a token, use `--bearer-env VAR` or `--header-env NAME=VAR`

    error: `ftp://host.example/a.jar` is not a valid input: `ftp` is not one of `http`, `https` and `file`

    hint: pass a file, an http or https URL, or - for standard input

    error: the tag `docker.io/library/app@sha256:0000000000000000000000000000000000000000000000000000000000000000` contains a digest; the digest follows from the image

    hint: pass a name and a tag: `--tag app:1.0`

    error: a value is required for '<ARTIFACT>' but none was supplied

    For more information, try '--help'.

    error: unexpected argument '--from' found

      tip: name the base image with `--base registry.example/team/jre:21`

    Usage: b2i build [OPTIONS] <ARTIFACT>... [-- <ARGS>...]

    For more information, try '--help'.

    error: unrecognized subcommand 'run'

      tip: build and run with `b2i build app.jar --run`; run an existing image with `docker run IMAGE`

    Usage: b2i [OPTIONS] <COMMAND>

    For more information, try '--help'.

    error: unrecognized subcommand 'target/app.jar'

      tip: build an image with `b2i build target/app.jar`

    Usage: b2i [OPTIONS] <COMMAND>

    For more information, try '--help'.

    error: `registry` is not a registry

    hint: pass a host, with a port if needed: registry.example:5000

    error: unknown command `b2i nonsense`

    hint: list the commands with `b2i --help`
    ");
}

#[test]
fn values_are_checked_where_they_are_typed() {
    let sandbox = Sandbox::new();
    for (arguments, reason) in [
        (&["build", "a", "--sha256", "abc"][..], "is not a SHA-256 digest"),
        (&["build", "a", "--max-size", "lots"], "is not a size"),
        (&["build", "a", "--port", "8000-8010"], "ranges are not supported"),
        (&["build", "a", "--timeout", "5"], "is not a time span"),
        (&["build", "a", "--cpus", "all"], "is not a number of processors"),
        (&["build", "a", "--entrypoint", "'x"], "the single quote at character 1 is not closed"),
        (&["build", "a", "--stop-signal", "9000"], "is not a signal"),
        (&["build", "a", "--stop-signal", "FOO"], "expected a name, such as SIGINT"),
        (&["build", "a", "--workdir", "srv"], "does not start with `/`"),
        (&["build", "a", "--platform", "amd64"], "is not a platform"),
        (&["build", "a", "--label", "x"], "write `x=VALUE`"),
        (&["build", "a", "--builder", "java:"], "is not a builder"),
        (&["build", "a", "--assemble", "magic"], "[possible values: auto, place, docker, sandbox]"),
        (&["build", "a", "--tag", "UPPER"], "must be lower case"),
        (&["build", "a", "--run", "--dry-run"], "cannot be used with"),
        (&["build", "a", "--quiet", "--verbose"], "cannot be used with"),
        (&["build", "a", "--bilder", "java"], "'--builder'"),
        (&["bild", "a"], "'build'"),
        (&["build"], "<ARTIFACT>"),
    ] {
        let ended = sandbox.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn variables_are_checked() {
    let sandbox = Sandbox::new();
    for (name, value, reason) in [
        (
            "B2I_COLOR",
            "pink",
            "environment variable `B2I_COLOR` is not valid: `pink` is not one of auto, always, never",
        ),
        ("B2I_PROGRESS", "bar", "is not one of auto, plain, json"),
        ("B2I_OFFLINE", "maybe", "environment variable `B2I_OFFLINE` is not valid"),
        ("B2I_CONFIG", "/missing.toml", "configuration file `/missing.toml` not found"),
        (
            "B2I_ARGS",
            "--key k3y '",
            "environment variable `B2I_ARGS` is not valid: the single quote at character 11 is not closed",
        ),
        ("SOURCE_DATE_EPOCH", "today", "`today` is not a number of seconds since 1970"),
    ] {
        let ended = sandbox.run_with(&["build", "app.jar", "--dry-run"], &[(name, value)]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(!ended.stderr.contains("k3y"), "arguments may be secrets: {}", ended.stderr);
    }
    let ended = sandbox.run_with(&["config", "show"], &[("B2I_BULDER", "java")]);
    assert_eq!(ended.code, 0);
    assert!(ended.stderr.contains("did you mean `B2I_BUILDER`?"), "{}", ended.stderr);
}

#[test]
fn unknown_keys_are_shown_in_their_line() {
    let sandbox = Sandbox::new();
    sandbox.write("b2i.toml", "[build]\nbuidler = \"java\"\n");
    let ended = sandbox.run(&["config", "show"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert_snapshot!(ended.stderr, @r#"
    error: unknown key `buidler` in `[build]`
     --> b2i.toml:2:1
      |
    2 | buidler = "java"
      | ^^^^^^^

    hint: did you mean `builder`?
    "#);
}

#[test]
fn a_projects_file_is_not_trusted() {
    let sandbox = Sandbox::new();
    sandbox
        .write("b2i.toml", "[build]\nbuilder = \"java\"\n\n[docker]\nhost = \"tcp://evil.example:2375\"\n");
    let ended = sandbox.run(&["build", "app.jar"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert_snapshot!(ended.stderr, @r#"
    error: a project's configuration may not set `docker.host`: it decides which daemon gets the artifact
     --> b2i.toml:5:1
      |
    5 | host = "tcp://evil.example:2375"
      | ^^^^

    hint: set `docker.host` in your own configuration (`~/.config/b2i/config.toml`), or pass `--docker-host`
    "#);
}

#[test]
fn configuration_shows_every_value_with_its_origin() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "b2i.toml",
        "[build]\nbuilder = \"tomcat\"\nargs = \"--port 8080 'a b'\"\nports = [\"8080\"]\n\
         labels = { \"com.example/team\" = \"web\" }\n\n[templates]\ndirectories = [\"templates\"]\n",
    );
    sandbox.write_user_configuration(
        "[bases]\n\"docker.io/library/debian:12\" = \"mirror.example/debian:12\"\n\n[network]\nretries = 5\n\
         proxies = { https = \"http://me:hunter2@proxy.example:3128\" }\n",
    );
    let variables =
        [("B2I_PULL", "never"), ("no_proxy", "localhost,.example"), ("DOCKER_HOST", "unix:///run/x")];
    let arguments = ["config", "show", "--offline", "--cache-dir", "/var/cache/b2i"];
    let ended = sandbox.run_with(&arguments, &variables);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_snapshot!(ended.stdout, @r#"
    [build]
    builder = "tomcat"                                          # b2i.toml:2
    # base =                                                    # not set
    # source-builder =                                          # not set
    args = ["--port", "8080", "a b"]                            # b2i.toml:3
    # env =                                                     # not set
    labels."com.example/team" = "web"                           # b2i.toml:5
    ports = ["8080/tcp"]                                        # b2i.toml:4
    assemble = "auto"                                           # built in
    pull = "never"                                              # variable B2I_PULL
    # platform =                                                # not set

    [bases]
    "docker.io/library/debian:12" = "mirror.example/debian:12"  # [ROOT]/home/.config/b2i/config.toml:2

    [templates]
    directories = [
      "templates",                                              # b2i.toml:8
    ]

    [docker]
    host = "unix:///run/x"                                      # variable DOCKER_HOST

    [cache]
    directory = "/var/cache/b2i"                                # flag --cache-dir

    [network]
    offline = true                                              # flag --offline
    # ca-files =                                                # not set
    # connect-timeout =                                         # not set
    # read-timeout =                                            # not set
    # min-rate =                                                # not set
    retries = 5                                                 # [ROOT]/home/.config/b2i/config.toml:5
    # chunk-size =                                              # not set
    max-size = "4GiB"                                           # built in

    [network.proxies]
    # http =                                                    # not set
    https = "http://…@proxy.example:3128"                       # [ROOT]/home/.config/b2i/config.toml:6
    # all =                                                     # not set
    none = "localhost,.example"                                 # variable no_proxy

    [registries]
    # [registries."HOST[:PORT]"]                                # not set

    [limits]
    # memory =                                                  # not set
    # cpus =                                                    # not set
    # pids =                                                    # not set
    # timeout =                                                 # not set
    # change-size =                                             # not set
    # change-files =                                            # not set
    "#);

    // What is shown is a configuration file that says the same.
    b2i::config::file::parse(b2i::config::FileLevel::User, std::path::Path::new("x"), &ended.stdout)
        .expect("valid TOML with known keys");

    let ended = sandbox.run_with(&["config", "show", "--format", "json"], &variables);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json["schemaVersion"], 1);
    assert_eq!(json["build"]["pull"]["origin"]["variable"], "B2I_PULL");
    assert_eq!(json["network"]["retries"]["origin"]["line"], 5);
    assert!(!ended.stdout.contains("hunter2"));
}

#[test]
fn a_named_file_stands_for_the_users() {
    let sandbox = Sandbox::new();
    sandbox.write_user_configuration("[network]\nretries = 5\n");
    sandbox.write("own.toml", "[limits]\npids = 7\n");
    let ended = sandbox.run(&["config", "show", "--config", "own.toml"]);
    assert!(ended.stdout.contains("own.toml:2") && ended.stdout.contains("# retries ="), "{}", ended.stdout);
}

#[test]
fn color_follows_flag_and_conventions() {
    let sandbox = Sandbox::new();
    let is_colored = |arguments: &[&str], variables: &[(&str, &str)]| {
        let ended = sandbox.run_with(&[&["inspect", ""], arguments].concat(), variables);
        assert_eq!(ended.code, 2);
        ended.stderr.contains('\u{1b}')
    };
    assert!(!is_colored(&[], &[]));
    assert!(is_colored(&["--color", "always"], &[]));
    assert!(is_colored(&[], &[("B2I_COLOR", "always")]));
    assert!(is_colored(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!is_colored(&["--color=never"], &[("CLICOLOR_FORCE", "1")]));
    let help = |color: &str| sandbox.run(&["build", "--color", color, "--help"]).stdout.contains('\u{1b}');
    assert!(help("always") && !help("never") && !help("auto"));
}

#[test]
fn errors_are_json_lines_where_progress_is() {
    let ended = Sandbox::new().run(&["inspect", "ftp://host.example/x", "--progress", "json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert_snapshot!(ended.stderr, @r#"{"schemaVersion":1,"event":"error","message":"`ftp://host.example/x` is not a valid input: `ftp` is not one of `http`, `https` and `file`","causes":[],"hints":["pass a file, an http or https URL, or - for standard input"],"exitCode":2}"#);
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let ended = Sandbox::new().run(&["build", "app.jar", "-o", "docker\u{1b}]0;owned\u{7}"]);
    assert_eq!(ended.code, 2);
    assert!(!ended.stderr.contains(['\u{1b}', '\u{7}']), "{:?}", ended.stderr);
}

#[test]
fn completions_are_complete() {
    let sandbox = Sandbox::new();
    for (shell, mark) in [("bash", "_b2i()"), ("zsh", "#compdef b2i"), ("fish", "complete -c b2i")] {
        let ended = sandbox.run(&["completions", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains(mark) && ended.stdout.contains("assemble-user"), "{shell}");
    }
    let script = sandbox.run(&["completions", "bash"]).stdout;
    let output =
        assert_cmd::Command::new("bash").arg("-n").write_stdin(script).output().expect("bash starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn bash_completes_values() {
    let script = Sandbox::new().run(&["completions", "bash"]).stdout;
    for (flag, values) in [
        ("--builder", &["java", "java:21", "tomcat"][..]),
        ("--source-builder", &["golang", "maven"]),
        ("--output", &["docker", "registry", "oci:", "oci-archive:", "docker-archive:"]),
        ("--platform", &["linux/amd64", "linux/arm64"]),
        ("--compression", &["auto", "gzip", "zstd", "none"]),
        ("--pull", &["always", "missing", "never"]),
        ("--assemble", &["auto", "place", "docker", "sandbox"]),
    ] {
        let call = format!("COMP_WORDS=(b2i build {flag} '')\nCOMP_CWORD=3\n_b2i b2i '' {flag}");
        let text = format!("{script}\n{call}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n");
        let output = assert_cmd::Command::new("bash").write_stdin(text).output().expect("bash starts");
        let offered = String::from_utf8(output.stdout).expect("UTF-8");
        for value in values {
            assert!(offered.lines().any(|line| line == *value), "{flag} {value}: {offered}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["man", "--directory", "pages/man1"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for name in ["b2i", "b2i-build", "b2i-copy", "b2i-builders", "b2i-builders-check", "b2i-completions"] {
        let path = format!("pages/man1/{name}.1");
        assert!(ended.stdout.lines().any(|line| line == path), "{path}: {}", ended.stdout);
        let page = std::fs::read_to_string(sandbox.project().join(&path)).expect("it is written");
        assert!(page.contains(&format!("\n.TH {name} 1 ")), "{path}: {page}");
    }
    let printed = sandbox.run(&["man", "builders", "check"]).stdout;
    let written = std::fs::read_to_string(sandbox.project().join("pages/man1/b2i-builders-check.1"));
    assert_eq!(printed, written.expect("it is written"));
}

#[test]
fn the_manual_page_has_every_command() {
    let ended = Sandbox::new().run(&["man"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.contains("\n.TH b2i 1 "), "{}", &ended.stdout[..200]);
    for section in ["B2I BUILD", "B2I INSPECT", "B2I BUILDERS EXPORT", "B2I CONFIG SHOW", "B2I COMPLETIONS"] {
        assert!(ended.stdout.contains(&format!(".SH \"{section}\"")), "{section}");
    }
    for text in ["\\-\\-assemble\\-user", "Examples:", "Exit codes:"] {
        assert!(ended.stdout.contains(text), "{text}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let sandbox = Sandbox::new();
    for arguments in [&["completions", "zsh"][..], &["man"], &["config", "show"], &["--help"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_b2i"));
        command.env_clear().env("HOME", sandbox.project()).current_dir(sandbox.project());
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("b2i starts");
        // Closed before b2i writes, or while it does: both must be quiet.
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
        let status = child.wait().expect("b2i ends");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn an_archive_that_cannot_be_written_is_named() {
    let program = crate::environment::TestEnvironment::get().fixture("program");
    let program = program.to_str().expect("UTF-8");
    let sandbox = Sandbox::new();
    for (path, message) in [("missing/app.tar", "missing"), ("/dev/full", "no space left in `/dev`")] {
        let output = format!("docker-archive:{path}");
        let ended =
            sandbox.run_with(&["build", program, "-o", &output], &[("DOCKER_HOST", "unix:///no.sock")]);
        assert_eq!(ended.code, 7, "{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[test]
fn a_plan_obeys_no_terminal() {
    let program = crate::environment::TestEnvironment::get().fixture("program");
    let sandbox = Sandbox::new();
    // A project's file is not trusted.
    sandbox.write("b2i.toml", "[build.labels]\nteam = \"\\u001b[2Jweb\"\n");
    let arguments = ["build", program.to_str().expect("UTF-8"), "-o", "docker-archive:app.tar", "--dry-run"];
    let ended = sandbox.run_with(&arguments, &[("DOCKER_HOST", "unix:///no.sock")]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains(r"team=\u{1b}[2Jweb"), "{}", ended.stdout);
}

#[test]
fn a_projects_template_gets_no_root() {
    let environment = crate::environment::TestEnvironment::get();
    let program = environment.fixture("program");
    let program = program.to_str().expect("UTF-8");
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["builders", "export", "binary", "builders/own"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let metadata = std::fs::read_to_string(sandbox.project().join("builders/own/builder.toml"));
    let metadata = metadata.expect("exported").replace("name = \"binary\"", "name = \"own\"");
    sandbox.write("b2i.toml", "[templates]\ndirectories = [\"builders\"]\n");
    let build = |user: &str, more: &[&str]| {
        let metadata = metadata.replace("user = \"1001:0\"", &format!("user = \"{user}\""));
        sandbox.write("builders/own/builder.toml", &metadata);
        let arguments = [&["build", program, "--builder", "own:static", "--dry-run"], more].concat();
        sandbox.run_with(&arguments, &[("DOCKER_HOST", environment.docker_host())])
    };
    let refused = build("0:5", &[]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("`own:static` runs as root"), "{}", refused.stderr);
    for allowed in [build("0:5", &["--allow-root"]), build("1001:0", &[])] {
        assert_eq!(allowed.code, 0, "{}", allowed.stderr);
    }
}

#[test]
fn usage_errors_show_no_control_characters() {
    for word in ["--a\u{9b}31m", "--b\u{202e}gpj", "--c\rhidden", "--d\u{1b}[2J"] {
        for words in [&[word][..], &["build", word], &["s2i", "build", word], &["build", "x", "--port", word]]
        {
            let ended = B2iCommand::new().args(words).run();
            assert!(matches!(ended.code, Some(1 | 2)), "{words:?}");
            for character in ['\u{9b}', '\u{202e}', '\r', '\u{1b}'] {
                assert!(!ended.stderr.contains(character), "{words:?}: {:?}", ended.stderr);
            }
        }
    }
}

#[test]
fn the_usage_of_a_builder_has_lines() {
    let ended = B2iCommand::new().args(["builders", "show", "java"]).run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("\\n"), "{}", ended.stdout);
    assert!(ended.stdout.lines().all(|line| line.chars().count() < 160), "{}", ended.stdout);
    assert!(ended.stdout.lines().count() > 20, "{}", ended.stdout);
}
