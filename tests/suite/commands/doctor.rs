//! `b2i doctor`: what works, what does not, and no secret.

use serde_json::Value;

use super::ended;
use crate::environment::{B2iCommand, TestEnvironment};
use crate::registry::auth::Guarded;

fn doctor(command: B2iCommand, arguments: &[&str], code: i32) -> Vec<Value> {
    let mut command = command.args(["doctor", "--format", "json"]).args(arguments).env("B2I_RETRIES", "0");
    let said = ended(&mut command, code);
    for secret in ["secret", "dXNlcj"] {
        assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret), "{}", said.stdout);
    }
    let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(document["schemaVersion"], 1);
    document["findings"].as_array().expect("a list").clone()
}

/// Health and message of the first finding about `subject`.
fn of<'a>(findings: &'a [Value], subject: &str) -> (&'a str, &'a str) {
    let found = findings.iter().find(|finding| finding["subject"] == subject);
    let found = found.unwrap_or_else(|| panic!("{subject}: {findings:?}"));
    (found["health"].as_str().expect("a word"), found["message"].as_str().expect("a text"))
}

#[test]
fn what_works_is_said() {
    let environment = TestEnvironment::get();
    for daemon in environment.daemons() {
        let findings = doctor(B2iCommand::new().daemon(&daemon), &[environment.registry()], 0);
        let (health, message) = of(&findings, "daemon");
        assert_eq!(health, "ok");
        assert!(message.starts_with(daemon.name), "{message}");
        assert_eq!(of(&findings, "cache").0, "ok");
        assert_eq!(of(&findings, environment.registry()).0, "ok");
    }
    let findings = doctor(B2iCommand::without_daemon(), &[], 0);
    assert_eq!(of(&findings, "daemon").0, "note", "b2i works without");
    let named = B2iCommand::new();
    assert_eq!(of(&doctor(named, &[], 1), "daemon").0, "problem", "but not without one that was named");
}

#[test]
fn credentials_are_checked_and_not_shown() {
    let registry = Guarded::start();
    let with = |auth: &str| {
        let command = B2iCommand::without_daemon();
        let file = command.directory().join("auth.json");
        let text = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.address);
        std::fs::write(&file, text).expect("written");
        command.env("REGISTRY_AUTH_FILE", file)
    };
    // `user:secret` and `user:secrets` in base64.
    let findings = doctor(with("dXNlcjpzZWNyZXQ="), &[&registry.address], 0);
    let (health, message) = of(&findings, &registry.address);
    assert!(health == "ok" && message.contains("auth.json"), "{message}");
    for command in [with("dXNlcjpzZWNyZXRz"), B2iCommand::without_daemon()] {
        let findings = doctor(command, &[&registry.address], 1);
        assert_eq!(of(&findings, &registry.address).0, "problem");
        let hints = findings.iter().flat_map(|finding| finding["hints"].as_array().expect("a list"));
        assert!(hints.into_iter().any(|hint| hint.to_string().contains("b2i login")), "{findings:?}");
    }
    let findings = doctor(with("dXNlcjpzZWNyZXQ="), &[&registry.address, "--offline"], 0);
    assert_eq!(of(&findings, &registry.address).0, "note");
}

#[test]
fn proxies_and_certificates_are_named() {
    let command = B2iCommand::without_daemon().env("https_proxy", "http://user:secret@proxy.example:3128");
    let configuration = command.directory().join("b2i.toml");
    std::fs::write(&configuration, "[network]\nca-files = [\"/absent/ca.pem\"]\n").expect("written");
    let findings = doctor(command.env("B2I_CONFIG", configuration), &[], 1);
    let (health, message) = of(&findings, "proxy");
    assert_eq!((health, message), ("ok", "https through http://proxy.example:3128/"));
    let (health, message) = of(&findings, "certificates");
    assert!(health == "problem" && message.contains("/absent/ca.pem"), "{message}");
}
