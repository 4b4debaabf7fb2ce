//! `b2i login` and `b2i logout`, with a real registry behind a password.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ended;
use crate::environment::{B2iCommand, TestEnvironment, install_script};
use crate::registry::auth::Guarded;
use crate::registry::unique;

/// A home that several calls have in common.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn b2i(&self, arguments: &[&str]) -> B2iCommand {
        B2iCommand::new().env("HOME", self.0.path()).env("B2I_RETRIES", "0").args(arguments)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".docker/config.json")
    }

    fn login(&self, registry: &str, password: &str) -> B2iCommand {
        self.b2i(&["login", registry, "-u", "user", "--password-stdin"]).stdin(password)
    }
}

fn push(home: &Home, registry: &str) -> B2iCommand {
    let program = TestEnvironment::get().fixture("program").display().to_string();
    let tag = format!("{registry}/{}:1", unique("login"));
    home.b2i(&["build", &program, "-t", &tag, "--push"])
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}

#[test]
fn who_logs_in_can_push_until_logging_out() {
    let registry = Guarded::start();
    let home = Home::new();
    let failed = ended(&mut push(&home, &registry.address), 8);
    assert!(failed.stderr.contains(&format!("b2i login {}", registry.address)), "{}", failed.stderr);

    let said = ended(&mut home.login(&registry.address, "secret\n"), 0);
    let file = home.file();
    let expected = format!("logged in to {} as user; stored in `{}`\n", registry.address, file.display());
    assert_eq!(said.stdout, expected);
    assert!(said.stderr.contains("unencrypted") && !said.stderr.contains("secret"), "{}", said.stderr);
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    ended(&mut push(&home, &registry.address), 0);

    let said = ended(&mut home.b2i(&["logout", &registry.address]), 0);
    assert_eq!(said.stdout, format!("logged out of {}\n", registry.address));
    ended(&mut push(&home, &registry.address), 8);
    let said = ended(&mut home.b2i(&["logout", &registry.address]), 0);
    assert!(said.stdout.starts_with("no credentials for"), "{}", said.stdout);
}

#[test]
fn wrong_credentials_are_not_kept() {
    let registry = Guarded::start();
    let home = Home::new();
    let failed = ended(&mut home.login(&registry.address, "wrong-secret"), 8);
    for part in ["cannot log in to", "with the new credentials", "check the user name"] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    assert!(!failed.stderr.contains("wrong-secret"), "{}", failed.stderr);
    assert!(!home.file().exists());
    // What was kept before stays, and is not shown in the place of what was given.
    ended(&mut home.login(&registry.address, "secret"), 0);
    let before = read(&home.file());
    ended(&mut home.login(&registry.address, "wrong-secret"), 8);
    assert_eq!(read(&home.file()), before);
}

#[test]
fn the_named_file_and_its_helper_are_honoured() {
    let registry = Guarded::start();
    let home = Home::new();
    let directory = home.0.path();
    let named = directory.join("named.json");
    let login = || home.login(&registry.address, "secret").env("REGISTRY_AUTH_FILE", &named);
    ended(&mut login(), 0);
    assert!(named.exists() && !home.file().exists());

    let helper = directory.join("docker-credential-b2itest");
    let script = "#!/bin/sh\ncat > \"$HOME/$1.json\"\n[ \"$1\" != get ] || cat \"$HOME/store.json\"\n";
    install_script(&helper, script);
    std::fs::write(&named, r#"{"credsStore":"b2itest"}"#).expect("written");
    let path = format!("{}:/usr/bin:/bin", directory.display());
    let said = ended(&mut login().env("PATH", &path), 0);
    assert!(said.stdout.ends_with("stored in `docker-credential-b2itest`\n"), "{}", said.stdout);
    assert!(!said.stderr.contains("unencrypted"), "{}", said.stderr);
    assert_eq!(read(&named), r#"{"credsStore":"b2itest"}"#);
    let kept: serde_json::Value = serde_json::from_str(&read(&directory.join("store.json"))).expect("JSON");
    assert_eq!((kept["Username"].as_str(), kept["Secret"].as_str()), (Some("user"), Some("secret")));
    let push = push(&home, &registry.address);
    ended(&mut push.env("REGISTRY_AUTH_FILE", &named).env("PATH", &path), 0);
    // A helper that is not installed: nothing is written anywhere.
    let failed = ended(&mut login(), 2);
    assert!(failed.stderr.contains("docker-credential-b2itest"), "{}", failed.stderr);
    assert_eq!(read(&named), r#"{"credsStore":"b2itest"}"#);
}

#[test]
fn what_comes_first_and_differs_is_named() {
    let registry = Guarded::start();
    let home = Home::new();
    let named = home.0.path().join("run/containers/auth.json");
    std::fs::create_dir_all(named.parent().expect("a directory")).expect("made");
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, registry.address);
    std::fs::write(&named, text).expect("written");
    let runtime = home.0.path().join("run");
    let said = ended(&mut home.login(&registry.address, "secret").env("XDG_RUNTIME_DIR", &runtime), 0);
    assert!(said.stderr.contains("is read first") && said.stderr.contains("auth.json"), "{}", said.stderr);
    let logout = home.b2i(&["logout", &registry.address]);
    let said = ended(&mut logout.env("XDG_RUNTIME_DIR", &runtime), 0);
    assert!(said.stderr.contains("still has credentials"), "{}", said.stderr);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let home = Home::new();
    for (arguments, input, part) in [
        (&["login", "r.example"][..], "", "-u USER"),
        (&["login", "r.example", "-u", "user"], "secret", "--password-stdin"),
        (&["login", "r.example", "--password-stdin"], "secret", "-u USER"),
        (&["login", "r.example", "-u", "user", "--password-stdin"], "\n", "no password"),
        (&["login", "r.example", "-u", "us:er", "--password-stdin"], "secret", "not a valid user name"),
        (&["login", "r.example/team", "-u", "user", "--password-stdin"], "secret", "is not a registry"),
        (&["login", "r.example", "-u", "user", "--password-stdin", "--offline"], "secret", "--offline"),
    ] {
        let failed = ended(&mut home.b2i(arguments).stdin(input), 2);
        assert!(failed.stderr.contains(part), "{arguments:?}: {}", failed.stderr);
        assert!(!failed.stderr.contains("secret"), "{}", failed.stderr);
    }
}

#[test]
fn a_password_that_is_typed_does_not_show() {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    let registry = Guarded::start();
    let home = Home::new();
    // Gives b2i a terminal.
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("'{}' login {} --user user", env!("CARGO_BIN_EXE_b2i"), registry.address))
        .arg("/dev/null")
        .env_clear()
        .env("HOME", home.0.path())
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can be started (util-linux)");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut shown = Vec::new();
    let mut buffer = [0; 256];
    let mut typed = false;
    loop {
        match stdout.read(&mut buffer).expect("readable") {
            0 => break,
            count => shown.extend_from_slice(&buffer[..count]),
        }
        if !typed && String::from_utf8_lossy(&shown).contains("Password: ") {
            stdin.write_all(b"secrex\x7ft\r").and_then(|()| stdin.flush()).expect("writable");
            typed = true;
        }
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(child.wait().expect("it ends").success(), "{shown}");
    assert!(shown.contains("logged in to") && !shown.contains("secre"), "{shown}");
    drop(stdin);
}

#[test]
fn a_registry_that_does_not_ask_is_said_so() {
    let home = Home::new();
    let said = ended(&mut home.login(TestEnvironment::get().registry(), "secret"), 0);
    assert!(said.stderr.contains("did not request credentials"), "{}", said.stderr);
}
