//! What a command sees, prints and may do for its work.

use std::time::Duration;

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::engine::sandbox::{SandboxSettings, probe};
use b2i::engine::{ContainerLimits, ContainerSpec, Engine, EngineError};

use super::{Setup, Tar, Who, as_everybody, is_running, path};

#[test]
fn a_command_prints_and_ends_as_it_did() {
    as_everybody("sandbox::runs::a_command_prints_and_ends_as_it_did", async |_| {
        let setup = Setup::new();
        let script = "echo out; echo err >&2; printf '\\377\\n'; id -u; pwd; hostname; echo $OWN $HOME $PATH; \
                      echo again > /dev/stdout; printf tail; exit 7";
        let spec = setup.spec(script);
        let (ended, lines) = setup.run_spec(spec).await.expect("ran");
        assert_eq!(ended.exit_code, 7, "{lines:?}");
        for expected in [
            "out",
            "err",
            "\u{fffd}",
            "1001",
            "/work/place",
            "sandbox",
            "image /home/app /bin",
            "again",
            "tail",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected:?} is missing in {lines:?}");
        }
        assert_eq!(ended.last_lines.last().map(String::as_str), Some("tail"));
        // The command is process 1, which nobody inside can kill, as in Docker.
        let (ended, lines) =
            setup.run("exec 2>/dev/null; kill -9 $$; sh -c 'kill -9 $$'; echo $? $$", "app").await;
        assert_eq!((ended.exit_code, lines), (0, vec!["137 1".to_owned()]));
    });
}

#[test]
fn users_are_those_of_the_image() {
    as_everybody("sandbox::runs::users_are_those_of_the_image", async |who| {
        let setup = Setup::new();
        for (user, expected) in [("app", "1001 0"), ("1001:5", "1001 5"), ("4242", "4242 0"), ("0", "0 0")] {
            let (_, lines) = setup.run("echo $(id -u) $(id -g)", user).await;
            assert_eq!(lines, [expected], "{user}");
        }
        if who != Who::Single {
            let (_, lines) = setup.run("id -G", "app").await;
            assert_eq!(lines, ["0 77"]);
        }
        let spec = ContainerSpec { user: Some("nobody".into()), ..setup.spec("true") };
        let error = setup.run_spec(spec).await.expect_err("no such user");
        assert_eq!(error.kind(), FailureKind::Builder);
        assert!(error.to_string().contains("`nobody`"), "{error}");
    });
}

#[test]
fn owners_are_those_of_the_layers() {
    as_everybody("sandbox::runs::owners_are_those_of_the_layers", async |who| {
        let setup = Setup::new();
        let script =
            "stat -c %u:%g:%a /etc/shadow /home/app /home/app/old; cat /etc/shadow; echo x > /etc/shadow";
        let (ended, lines) = setup.run(script, "app").await;
        if who == Who::Single {
            // One id: everything is the command's own.
            assert_eq!(lines[..3], ["1001:0:600", "1001:0:700", "1001:0:640"]);
        } else {
            assert_eq!(lines[..3], ["0:0:600", "1001:0:700", "1001:0:640"]);
            assert_ne!(ended.exit_code, 0, "a user read and wrote what is root's: {lines:?}");
            assert!(!lines.contains(&"secret".to_owned()), "{lines:?}");
        }
    });
}

#[test]
fn files_come_and_go_by_the_engine() {
    as_everybody("sandbox::runs::files_come_and_go_by_the_engine", async |who| {
        let setup = Setup::new();
        let container =
            setup.engine(Vec::new()).create(setup.spec("cat /opt/in/text; ls -l /opt/in/text")).await;
        let container = container.expect("created");
        let tar = Tar::new()
            .directory("opt/in", 0o750, (1001, 0))
            .file("opt/in/text", 0o640, (1001, 0), "uploaded\n")
            .link("opt/link", "in/text");
        let stream = futures_util::stream::iter(
            tar.finish()
                .chunks(1000)
                .map(|piece| Ok(bytes::Bytes::copy_from_slice(piece)))
                .collect::<Vec<_>>(),
        );
        container.upload(&path("/"), Box::pin(stream)).await.expect("uploaded");
        assert!(container.has(&path("/opt/link")).await.expect("looked"));
        assert!(!container.has(&path("/opt/none")).await.expect("looked"));
        let events = setup.events();
        let ended = container.run(&events).await.expect("ran");
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        assert_eq!(setup.lines()[0], "uploaded");
        let read = container.download(&path("/opt/in/text"), 9).await.expect("read");
        assert_eq!(read.as_deref(), Some(&b"uploaded\n"[..]));
        assert_eq!(container.download(&path("/opt/none"), 9).await.expect("read"), None);
        for (name, limit) in [("/opt/in/text", 8), ("/opt/link", 99), ("/opt/in", 99)] {
            let error = container.download(&path(name), limit).await.expect_err("refused");
            assert_eq!(error.kind(), FailureKind::Assemble, "{name}: {error}");
        }
        let changes = container.take_changes(&events).await.expect("taken");
        container.remove().await.expect("removed");
        let found = super::found(&changes);
        assert_eq!((found["opt/in/text"].owner, found["opt/in/text"].mode), ((1001, 0), 0o640), "{who:?}");
        assert_eq!((found["opt/in"].owner, found["opt/in"].mode), ((1001, 0), 0o750));
        assert_eq!((found["opt/link"].owner, &*found["opt/link"].text), ((0, 0), "in/text"));
    });
}

#[test]
fn what_cannot_be_started_is_the_builders_fault() {
    as_everybody("sandbox::runs::what_cannot_be_started_is_the_builders_fault", async |_| {
        let setup = Setup::new();
        for program in ["/no/such/program", "nothing", "/etc/passwd", "/home"] {
            let spec = ContainerSpec { command: vec![program.into()], ..setup.spec("") };
            let error = setup.run_spec(spec).await.expect_err("not a program");
            assert_eq!(error.kind(), FailureKind::Builder, "{error}");
            assert!(error.to_string().contains(program), "{error}");
        }
    });
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_it_started() {
    as_everybody("sandbox::runs::a_command_that_takes_too_long_is_killed_with_all_it_started", async |_| {
        let setup = Setup::new();
        let script = "echo begun; (trap '' TERM HUP; sleep 3000) & sleep 3000";
        let mut spec = setup.spec(script);
        spec.limits.timeout = Some(Duration::from_secs(3));
        let error = setup.run_spec(spec).await.expect_err("too long");
        let EngineError::TimedOut { last_lines, .. } = &error else { panic!("{error}") };
        assert_eq!(last_lines[..], ["begun"]);
        // What goes on in the background ends with the command too, and does not keep it.
        let (ended, _) = setup.run("sleep 3000 & exit 3", "app").await;
        assert_eq!(ended.exit_code, 3);
    });
}

#[test]
fn a_container_that_nobody_waits_for_is_gone_with_its_files() {
    as_everybody("sandbox::runs::a_container_that_nobody_waits_for_is_gone_with_its_files", async |_| {
        let setup = Setup::new();
        let marker = setup.root().join("marker").display().to_string();
        let script = format!("echo {marker}; mkdir -p /tmp/a/b; touch /tmp/a/b/c; sleep 3000");
        let container = setup.engine(Vec::new()).create(setup.spec(&script)).await.expect("created");
        let events = setup.events();
        let waiting = tokio::time::timeout(Duration::from_secs(2), container.run(&events)).await;
        assert!(waiting.is_err(), "it ended by itself: {waiting:?}");
        drop(container);
        assert_eq!(setup.temporary_files(), Vec::<std::path::PathBuf>::new());
        assert!(!is_running(&marker), "the command outlived its container");
    });
}

#[test]
fn a_probe_says_how_the_sandbox_works_here() {
    as_everybody("sandbox::runs::a_probe_says_how_the_sandbox_works_here", async |who| {
        let setup = Setup::new();
        let support = probe(&setup.settings).expect("the sandbox works here");
        assert_eq!(support.has_owners, who != Who::Single, "{support:?}");
        // What it says of limits is what comes of one; whether a user may set them depends on the machine.
        let limits = ContainerLimits { memory: Some(1 << 26), ..ContainerLimits::default() };
        let limited = setup.run_spec(ContainerSpec { limits, ..setup.spec("true") }).await;
        match &support.missing_limits {
            Some((limits, _)) if limits.contains("memory") => {
                let error = limited.expect_err("no group is delegated to the test's user");
                assert_eq!(error.kind(), FailureKind::Engine, "{error}");
            }
            _ => assert_eq!(limited.expect("the limit can be set").0.exit_code, 0),
        }
    });
}

#[test]
fn where_user_namespaces_are_forbidden_the_setting_is_named() {
    as_everybody("sandbox::runs::where_user_namespaces_are_forbidden_the_setting_is_named", async |who| {
        if who != Who::Bare {
            return;
        }
        let setup = Setup::new();
        let settings = SandboxSettings { allow_root: false, ..setup.settings.clone() };
        let error = probe(&settings).expect_err("real root was not allowed");
        assert_eq!(error.kind(), FailureKind::Engine);
        let hints = error.hints().join("\n");
        for expected in ["user.max_user_namespaces", "--assemble docker", "--allow-root-sandbox"] {
            assert!(hints.contains(expected), "{hints}");
        }
        let support = probe(&setup.settings).expect("root may do without");
        assert!(support.users.contains("real root") && support.has_owners, "{support:?}");
    });
}
