//! Containers: what runs in them, what comes out of them, what is left of them.

use b2i::host::{DaemonChoice, Host};
use b2i::pipeline::{Built, RunStreams};
use b2i::transport::Transport;

use super::*;

#[tokio::test]
async fn a_script_runs_and_its_changes_become_an_image_with_our_config() {
    let mut ids: Vec<Digest> = Vec::new();
    for mut setup in Setup::both().await {
        let engine = setup.engine();
        let mut spec = setup.spec(&[
            "/bin/sh",
            "-c",
            "mkdir -p /tmp/out && cat /tmp/input > /tmp/out/file && echo done",
        ]);
        spec.environment = vec![("SECRET".into(), "not in the image".into())];
        let container = engine.create(spec).await.expect("created");
        container.upload(&path("/tmp"), tar_of("input", b"from the client")).await.expect("uploaded");
        let (events, seen) = recorder();
        let ended = container.run(&events).await.expect("ran");
        assert_eq!((ended.exit_code, ended.out_of_memory), (0, false));
        assert_eq!(*seen.lock().expect("not poisoned"), [(ScriptStream::Stdout, "done".to_owned())]);
        let read = container.download(&path("/tmp/out/file"), 100).await.expect("read");
        assert_eq!(read.as_deref(), Some(&b"from the client"[..]));
        let Diff::Committed { image_id, diff_ids } =
            container.take_changes(&events).await.expect("committed")
        else {
            panic!("the Docker engine commits");
        };
        let base = setup.resolve().await;
        let mut config = base.config.clone();
        assert_eq!(diff_ids[..diff_ids.len() - 1], config.diff_ids().expect("valid"));
        let edits =
            ConfigEdits { entrypoint: Some(vec!["/bin/cat".into(), "/tmp/out/file".into()]), ..edits() };
        config.apply(&edits, &diff_ids[diff_ids.len() - 1..]);
        let tag = setup.tag("committed");
        let committed = BaseImage::in_daemon(image_id.clone(), Some(image_id.clone()), config.clone());
        let committed = Image::unchanged(committed, config.to_bytes());
        let published = setup.daemon.publish(&committed, std::slice::from_ref(&tag), &setup.context).await;
        assert_eq!(published.expect("published").image_id, config.digest());
        container.remove().await.expect("removed");
        let found = inspect(&setup, &tag.to_string()).await;
        assert_eq!(found.config.env("SECRET"), None);
        assert_eq!(found.config.label("io.b2i.lease"), None);
        assert_eq!(
            start(&setup, &tag.to_string(), ProgramOptions::default(), b"").await,
            (0, "from the client".into())
        );
        let committed: ImageReference = image_id.parse().expect("an ID");
        let offline = ResolveOptions { offline: true, ..ResolveOptions::default() };
        let error = setup
            .daemon
            .resolve(&committed, &offline, &Events::silent())
            .await
            .expect_err("the committed image is gone");
        assert!(matches!(error, DaemonError::ImageMissing { .. }), "{error}");
        ids.push(config.digest());
        setup.clean_up().await;
    }
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn what_a_script_prints_and_how_it_ends_is_told_as_it_was() {
    for setup in Setup::both().await {
        let script = "echo out; echo err >&2; printf '\\377\\n'; id -u; printf tail; exit 7";
        let (ended, lines) = setup.run(setup.spec(&["/bin/sh", "-c", script])).await.expect("ran");
        assert_eq!(ended.exit_code, 7);
        let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert!(!text.contains(&"AROUND"), "the image's entrypoint ran around the script: {text:?}");
        for expected in ["out", "err", "\u{fffd}", "1001", "tail"] {
            assert!(text.contains(&expected), "{expected} is missing in {text:?}");
        }
        assert!(lines.contains(&(ScriptStream::Stderr, "err".into())));
        assert_eq!(ended.last_lines.last().map(String::as_str), Some("tail"));
        let user = ContainerSpec { user: Some("0".into()), ..setup.spec(&["/bin/id", "-u"]) };
        assert_eq!(setup.run(user).await.expect("ran").1[0].1, "0");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_container_has_no_network_and_few_rights() {
    for setup in Setup::both().await {
        let script = "ls /sys/class/net; while read -r line; do case $line in NoNew*|CapBnd*) echo \"$line\";; esac; \
                      done < /proc/self/status";
        let spec = ContainerSpec { user: Some("0".into()), ..setup.spec(&["/bin/sh", "-c", script]) };
        let (_, lines) = setup.run(spec).await.expect("ran");
        let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        let network = |line: &&&str| !line.contains(':');
        assert_eq!(text.iter().filter(network).copied().collect::<Vec<_>>(), ["lo"], "{text:?}");
        assert!(text.contains(&"NoNewPrivs:\t1"), "{text:?}");
        // chown, dac_override, fowner, fsetid, kill, setgid, setuid: bits 0, 1, 3 to 7.
        assert!(text.contains(&"CapBnd:\t00000000000000fb"), "{text:?}");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_killed() {
    for setup in Setup::both().await {
        let mut spec = setup.spec(&["/bin/sh", "-c", "echo begun; sleep 86400"]);
        spec.limits.timeout = Some(Duration::from_secs(3));
        let error = setup.run(spec).await.expect_err("too long");
        assert_eq!(error.kind(), FailureKind::Assemble);
        let EngineError::TimedOut { last_lines, .. } = &error else { panic!("{error}") };
        assert_eq!(last_lines[..], ["begun"]);
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn limits_hold() {
    for setup in Setup::both().await {
        let script = "busybox dd if=/dev/zero of=/dev/null bs=200M count=1";
        let mut spec = setup.spec(&["/bin/sh", "-c", script]);
        spec.limits =
            ContainerLimits { memory: Some(32 << 20), pids: Some(20), ..ContainerLimits::default() };
        match setup.run(spec).await {
            Ok((ended, _)) => assert_ne!(ended.exit_code, 0, "200 MB fit into 32 MiB"),
            // A daemon that cannot enforce it must say so instead.
            Err(error) => {
                assert!(matches!(error, EngineError::Docker(DaemonError::LimitNotEnforced { .. })), "{error}")
            }
        }
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_change_is_limited_if_somebody_says_so() {
    for setup in Setup::both().await {
        let mut spec = setup.spec(&["/bin/sh", "-c", "busybox truncate -s 1099511627776 /tmp/sparse"]);
        spec.limits.change.bytes = Some(1 << 20);
        let error = setup.run(spec).await.expect_err("too large");
        assert!(matches!(error, EngineError::ChangeTooLarge { limit: 0x10_0000, .. }), "{error}");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_the_builders_fault() {
    for setup in Setup::both().await {
        let error = setup.run(setup.spec(&["/no/such/program"])).await.expect_err("not there");
        assert_eq!(error.kind(), FailureKind::Builder, "{error}");
        assert!(error.to_string().contains("/no/such/program"), "{error}");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn only_regular_files_up_to_the_limit_are_downloaded() {
    for setup in Setup::both().await {
        let engine = setup.engine();
        let container = engine.create(setup.spec(&["/bin/sh"])).await.expect("created");
        container.upload(&path("/tmp"), tar_of("five", b"12345")).await.expect("uploaded");
        assert_eq!(
            container.download(&path("/tmp/five"), 5).await.expect("fits").as_deref(),
            Some(&b"12345"[..])
        );
        let error = container.download(&path("/tmp/five"), 4).await.expect_err("too large");
        assert!(matches!(error, EngineError::TooLarge { size: 5, limit: 4, .. }), "{error}");
        for (at, word) in [("/tmp", "a directory"), ("/bin/cat", "a link")] {
            let error = container.download(&path(at), 100).await.expect_err(at);
            assert!(matches!(&error, EngineError::NotAFile { found, .. } if found == word), "{error}");
        }
        assert_eq!(container.download(&path("/tmp/absent"), 100).await.expect("absent"), None);
        assert_eq!(container.download(&path("/absent/file"), 100).await.expect("absent"), None);
        // Podman makes the directory.
        if setup.daemon.info().flavour == DaemonFlavour::Docker {
            let error = container.upload(&path("/absent"), tar_of("x", b"")).await.expect_err("not there");
            assert!(error.to_string().contains("/absent"), "{error}");
        }
        container.remove().await.expect("removed");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn what_a_killed_run_leaves_is_removed_and_nothing_else() {
    for setup in Setup::both().await {
        let engine = setup.engine();
        let silent = Events::silent();
        let platform = setup.daemon.info().platform.clone();
        let own = engine.create(setup.spec(&["/bin/echo"])).await.expect("created");
        own.run(&silent).await.expect("ran");
        let Diff::Committed { image_id, .. } = own.take_changes(&silent).await.expect("committed") else {
            panic!("the Docker engine commits");
        };
        let mut base = b2i::store::builtin::static_base(&platform);
        // The same base may be there under the name of another run's lease.
        base.config.set_label("of", &setup.context.lease);
        let loaded = setup
            .daemon
            .ensure_loaded(&base, &setup.context.lease, &setup.context.spool_directory)
            .await
            .expect("loaded");
        assert_eq!(loaded, base.config.digest().to_string());
        let other_lease = ContainerSpec { lease: unique("lease"), ..setup.spec(&["/bin/echo"]) };
        let other = engine.create(other_lease).await.expect("created");
        let lease = std::slice::from_ref(&setup.context.lease);
        remove_leftovers(&setup.daemon, lease).await.expect("removed");
        assert!(own.run(&silent).await.is_err(), "the container is gone");
        for id in [&image_id, &loaded] {
            let options = ResolveOptions { offline: true, ..ResolveOptions::default() };
            let found = setup.daemon.resolve(&id.parse().expect("an ID"), &options, &silent).await;
            assert!(matches!(found, Err(DaemonError::ImageMissing { .. })), "{id} is still there");
        }
        assert_eq!(other.run(&silent).await.expect("untouched").exit_code, 0);
        other.remove().await.expect("removed");
        setup.resolve().await;
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn signals_reach_the_program() {
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        let image = placed(&base, "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done");
        let tag = setup.tag("signal");
        setup.daemon.publish(&image, std::slice::from_ref(&tag), &setup.context).await.expect("published");
        let options = ProgramOptions { lease: setup.context.lease.clone(), ..ProgramOptions::default() };
        let program = Program::create(&setup.daemon, &tag.to_string(), options).await.expect("created");
        let handle = program.handle();
        let (mut reader, stdout) = tokio::io::duplex(1 << 16);
        let streams = ProgramStreams {
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(stdout),
            stderr: Box::new(tokio::io::sink()),
        };
        let talk = async {
            let mut ready = [0; 6];
            reader.read_exact(&mut ready).await.expect("it is ready");
            handle.signal("SIGTERM").await.expect("sent");
            let mut rest = String::new();
            reader.read_to_string(&mut rest).await.expect("text");
            rest
        };
        let silent = Events::silent();
        let (code, rest) = tokio::join!(program.run(streams, &silent), talk);
        assert_eq!((code.expect("ran"), rest.as_str()), (9, "caught\n"));
        handle.signal("SIGTERM").await.expect("a program that has ended gets none");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_signal_that_comes_before_the_program_has_started_waits_for_it() {
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        let image = placed(&base, "while :; do sleep 0.1; done");
        let tag = setup.tag("early");
        let published = setup.daemon.publish(&image, std::slice::from_ref(&tag), &setup.context).await;
        let image_id = published.expect("published").image_id;
        let cache = tempfile::tempdir().expect("a directory");
        let host = Some(setup.daemon.info().address.clone());
        let choice = DaemonChoice {
            settings: DaemonSettings { host, ..DaemonSettings::default() },
            ..DaemonChoice::default()
        };
        let host = Host { daemon: choice, ..Host::new(cache.path()) };
        let session = host.session(Events::silent());
        let built = Built {
            references: Vec::new(),
            published_ports: Vec::new(),
            image_id,
            manifest_digest: None,
            tags: vec![tag],
            outputs: vec![Transport::Docker],
            daemon: None,
            ports: Vec::new(),
            builder: String::new(),
            assembly: b2i::plan::AssemblyKind::Place,
            assembly_reason: String::new(),
            artifact_digest: None,
            layer_digest: None,
            runnable: None,
            index_digest: None,
            sources: None,
            images: Vec::new(),
        };
        let (sender, signals) = tokio::sync::mpsc::unbounded_channel();
        // No other reaches a shell that is process 1 and has just begun.
        sender.send("SIGKILL").expect("somebody listens");
        let streams = RunStreams {
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(tokio::io::sink()),
            stderr: Box::new(tokio::io::sink()),
            signals,
        };
        let running = b2i::pipeline::run(&built, streams, &session);
        let ended = tokio::time::timeout(Duration::from_secs(60), running).await;
        assert_eq!(ended.expect("the signal arrived").expect("ran"), 137);
        setup.clean_up().await;
    }
}
