//! A finished image that is run for its own sake: process 1 of its container, with its own streams and signals, and
//! nothing left of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::engine::ProgramStreams;
use b2i::engine::sandbox::{SandboxEngine, SandboxError, SandboxProgram};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Setup, Tar, Tarball, as_everybody, base, image};

/// How a program ended, and what it printed.
struct Ran {
    code: i64,
    out: Vec<u8>,
    err: String,
}

impl Ran {
    fn lines(&self) -> Vec<&str> {
        std::str::from_utf8(&self.out).expect("text").lines().collect()
    }
}

async fn create(setup: &Setup, config: &str, network: Option<&str>) -> Result<SandboxProgram, SandboxError> {
    let new = Tar::new()
        .directory("opt", 0o755, (0, 0))
        .file("opt/own", 0o640, (1001, 0), "new\n")
        .file("etc/.wh.shadow", 0o600, (0, 0), "")
        .finish();
    let image = image("test/program", config, vec![Tarball::layer(base()), Tarball::layer(new)]);
    let engine = SandboxEngine::new(setup.settings.clone(), image, setup.events());
    SandboxProgram::create(&engine, network.map(Into::into), "lease").await
}

/// An image that starts this script as the user `app`.
fn config(script: &str) -> String {
    let config = serde_json::json!({"config": {
        "Env": ["PATH=/bin", "ARGS=from the image"], "WorkingDir": "/work/place", "User": "app",
        "Entrypoint": ["/bin/sh", "-c"], "Cmd": [script, "name", "a b"],
    }});
    config.to_string()
}

async fn run_with(
    setup: &Setup,
    script: &str,
    network: Option<&str>,
    input: &'static [u8],
    signals: impl FnOnce(UnboundedSender<&'static str>, Arc<Mutex<Vec<u8>>>),
) -> Ran {
    let program = create(setup, &config(script), network).await.expect("created");
    let (sender, receiver) = unbounded_channel();
    let (mut out, out_end) = tokio::io::duplex(1 << 20);
    let (mut err, err_end) = tokio::io::duplex(1 << 20);
    let streams =
        ProgramStreams { stdin: Box::new(input), stdout: Box::new(out_end), stderr: Box::new(err_end) };
    let printed = Arc::new(Mutex::new(Vec::new()));
    signals(sender, printed.clone());
    let reading = async {
        let mut buffer = [0; 4096];
        loop {
            match out.read(&mut buffer).await.expect("reads") {
                0 => break,
                count => printed.lock().expect("not poisoned").extend(&buffer[..count]),
            }
        }
    };
    let mut text = String::new();
    let events = setup.events();
    let running = program.run(streams, receiver, &events);
    let limited = tokio::time::timeout(Duration::from_secs(60), running);
    let (code, (), read) = tokio::join!(limited, reading, err.read_to_string(&mut text));
    read.expect("text");
    let code = code.expect("it ended").unwrap_or_else(|error| panic!("{script}: {error}"));
    let out = printed.lock().expect("not poisoned").clone();
    Ran { code, out, err: text }
}

async fn run(setup: &Setup, script: &str) -> Ran {
    run_with(setup, script, None, b"", |_, _| {}).await
}

#[test]
fn a_program_is_process_1_of_the_image() {
    as_everybody("sandbox::programs::a_program_is_process_1_of_the_image", async |who| {
        let setup = Setup::new();
        let script = "echo $$ $PPID; id -u; pwd; echo $ARGS; echo \"$0 $1\"; cat /opt/own; ls /etc/shadow || echo gone; \
                      ls -d /proc/[0-9]*; grep localhost /etc/hosts | head -n 1; echo err >&2; exit 37";
        let ran = run(&setup, script).await;
        assert_eq!(ran.code, 37, "{}", ran.err);
        let lines = ran.lines();
        let expected = ["1 0", "1001", "/work/place", "from the image", "name a b", "new", "gone", "/proc/1"];
        assert_eq!(lines[..8], expected, "{who:?} {}", ran.err);
        assert_eq!(lines.last(), Some(&"127.0.0.1\tlocalhost sandbox"), "{lines:?}");
        assert!(ran.err.ends_with("err\n"), "{}", ran.err);
    });
}

#[test]
fn streams_are_handed_through_as_they_are() {
    as_everybody("sandbox::programs::streams_are_handed_through_as_they_are", async |_| {
        let setup = Setup::new();
        let script = "printf 'prompt '; read -r line; echo \"got $line\"; head -c 3000000 /dev/zero | tr '\\0' '\\377'; \
                      echo again > /dev/stdout; cat /dev/stdin | wc -c; echo over > /dev/stderr";
        let ran = run_with(&setup, script, None, b"typed\nand more", |_, _| {}).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        let begin = b"prompt got typed\n";
        assert_eq!(&ran.out[..begin.len()], begin);
        let bytes = ran.out.iter().filter(|byte| **byte == 0xff).count();
        assert_eq!(bytes, 3_000_000);
        let end = String::from_utf8_lossy(&ran.out[begin.len() + bytes..]).into_owned();
        assert_eq!((end.as_str(), ran.err.as_str()), ("again\n8\n", "over\n"));
    });
}

#[test]
fn signals_reach_the_program_and_none_is_lost() {
    as_everybody("sandbox::programs::signals_reach_the_program_and_none_is_lost", async |_| {
        let setup = Setup::new();
        // Process 1 has no default actions, so a signal that it does not catch does nothing, as in Docker.
        let script =
            "trap 'echo user' USR1; trap 'echo term; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
        let ran = run_with(&setup, script, None, b"", |signals, printed| {
            tokio::spawn(async move {
                let wait_for = async |text: &str| {
                    while !String::from_utf8_lossy(&printed.lock().expect("not poisoned")).contains(text) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                wait_for("ready\n").await;
                for (signal, text) in [("SIGUSR2", ""), ("SIGUSR1", "user\n"), ("SIGTERM", "term\n")] {
                    signals.send(signal).expect("somebody listens");
                    wait_for(text).await;
                }
            });
        });
        let ran = ran.await;
        assert_eq!((ran.code, ran.lines()), (3, vec!["ready", "user", "term"]), "{}", ran.err);
        // One that was there before the program waits for it.
        let early = run_with(&setup, "sleep 3000", None, b"", |signals, _| {
            signals.send("SIGKILL").expect("somebody listens");
        });
        assert_eq!(early.await.code, 137);
    });
}

#[test]
fn what_a_program_writes_is_thrown_away() {
    as_everybody("sandbox::programs::what_a_program_writes_is_thrown_away", async |who| {
        let setup = Setup::new();
        let script = "echo x >> /opt/own; echo y > /tmp/new; cat /opt/own /tmp/new; sleep 3000 & exit 0";
        for _ in 0..2 {
            let ran = run(&setup, script).await;
            assert_eq!(ran.lines(), ["new", "x", "y"], "{who:?} {}", ran.err);
            assert_eq!(setup.temporary_files(), Vec::<std::path::PathBuf>::new());
        }
        // The new layer is not one that others would need.
        let layers = std::fs::read_dir(setup.root().join("cache/layers-v1")).expect("lists");
        let layers = layers.flatten().filter(|entry| entry.path().is_dir()).count();
        assert_eq!(layers, 1);
    });
}

#[test]
fn a_program_has_no_network_but_its_own() {
    as_everybody("sandbox::programs::a_program_has_no_network_but_its_own", async |_| {
        let setup = Setup::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
        let port = listener.local_addr().expect("an address").port();
        // Port 80 is anybody's where no other program is.
        let script = format!(
            "nc -w 5 127.0.0.1 {port} < /dev/null && echo host; \
             nc -l -p 80 < /dev/null & \
             {} nc -w 5 127.0.0.1 80 < /dev/null && echo itself; true",
            super::ONCE_LISTENING.replace("PORT", "0050"),
        );
        let ran = run(&setup, &script).await;
        assert_eq!(ran.lines(), ["itself"], "{}", ran.err);
        let accepted = std::thread::spawn(move || listener.accept().map(|_| ()));
        let script = format!("nc -w 20 127.0.0.1 {port} < /dev/null && echo host");
        let ran = run_with(&setup, &script, Some("host"), b"", |_, _| {}).await;
        assert_eq!(ran.lines(), ["host"], "{}", ran.err);
        accepted.join().expect("no panic").expect("accepted");
        let error = create(&setup, &config("true"), Some("bridge")).await.expect_err("no such network");
        assert_eq!(error.kind(), FailureKind::Usage, "{error}");
    });
}

#[test]
fn what_cannot_be_run_says_why() {
    as_everybody("sandbox::programs::what_cannot_be_run_says_why", async |_| {
        let setup = Setup::new();
        let error = create(&setup, "{}", None).await.expect_err("there is nothing to start");
        assert!(error.to_string().contains("no program"), "{error}");
        for (config, text) in [
            (r#"{"config": {"Entrypoint": ["/no/such"]}}"#, "`/no/such`"),
            (r#"{"config": {"Entrypoint": ["/bin/true"], "User": "nobody"}}"#, "`nobody`"),
        ] {
            let program = create(&setup, config, None).await.expect("created");
            let (_sender, signals) = unbounded_channel();
            let streams = ProgramStreams {
                stdin: Box::new(tokio::io::empty()),
                stdout: Box::new(tokio::io::sink()),
                stderr: Box::new(tokio::io::sink()),
            };
            let error = program.run(streams, signals, &setup.events()).await.expect_err("it does not start");
            assert_eq!(error.kind(), FailureKind::Builder, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    });
}

#[test]
fn a_program_that_nobody_waits_for_is_gone() {
    as_everybody("sandbox::programs::a_program_that_nobody_waits_for_is_gone", async |who| {
        let setup = Setup::new();
        let marker = format!("program-{}-{who:?}", std::process::id());
        let program = create(&setup, &config(&format!(": {marker}; echo up; sleep 3000; true")), None).await;
        let program = program.expect("created");
        let (_sender, signals) = unbounded_channel();
        let (mut out, out_end) = tokio::io::duplex(4096);
        // Standard input stays open, and nothing comes.
        let (mut input, input_end) = tokio::io::duplex(16);
        let streams = ProgramStreams {
            stdin: Box::new(input_end),
            stdout: Box::new(out_end),
            stderr: Box::new(tokio::io::sink()),
        };
        let events = setup.events();
        let mut line = [0; 3];
        tokio::select! {
            ended = program.run(streams, signals, &events) => panic!("it ended: {ended:?}"),
            read = out.read_exact(&mut line) => drop(read.expect("reads")),
        }
        // Dropped by now, with all there was.
        assert_eq!(setup.temporary_files(), Vec::<std::path::PathBuf>::new());
        assert!(!super::is_running(&marker), "the program outlived its container");
        assert!(input.write_all(b"x").await.is_err(), "nobody reads any more");
    });
}
