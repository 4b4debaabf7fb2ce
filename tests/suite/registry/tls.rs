//! Whom b2i believes: certificates, and registries of which the user says that they have none.

use b2i::diagnostic::Diagnostic;
use b2i::store::registry::{HostSettings, RegistryError, RegistrySettings, RequestError, ResolveOptions};

use super::{reference, registries, settings, whole};
use crate::fault_server::{FaultServer, answer};

/// A registry behind TLS that has nothing.
fn empty() -> (FaultServer, String) {
    let server = FaultServer::start_tls(|_, to| {
        let headers = [("Docker-Distribution-Api-Version", "registry/2.0")];
        answer(to, "404 Not Found", &headers, br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)
    });
    let url = url::Url::parse(&server.url("/")).expect("a URL");
    let name = format!("localhost:{}", url.port().expect("it has one"));
    (server, name)
}

async fn ask(name: &str, own: Option<HostSettings>) -> RegistryError {
    let mut settings: RegistrySettings = settings();
    settings.hosts.extend(own.map(|own| (name.to_owned(), own)));
    let image = reference(&format!("{name}/app:1"));
    registries(settings).resolve(&image, &ResolveOptions::default()).await.expect_err("it has nothing")
}

#[tokio::test]
async fn a_certificate_is_verified_unless_the_user_says_otherwise_for_this_registry() {
    let (server, name) = empty();
    let error = ask(&name, None).await;
    assert!(
        matches!(&error, RegistryError::Pull { source: RequestError::Untrusted(_), .. }),
        "{}",
        whole(&error)
    );
    let hints = error.hints().join("\n");
    assert!(
        hints.contains("ca-files") && hints.contains("insecure = true") && hints.contains(&name),
        "{hints}"
    );
    assert!(server.requests().is_empty());

    let extra_ca = vec!["tests/suite/fixtures/tls/ca.pem".into()];
    let error = ask(&name, Some(HostSettings { extra_ca, ..HostSettings::default() })).await;
    assert!(matches!(error, RegistryError::Missing { .. }), "{}", whole(&error));
    let error = ask(&name, Some(HostSettings { insecure: true, ..HostSettings::default() })).await;
    assert!(matches!(error, RegistryError::Missing { .. }), "{}", whole(&error));
    // Another registry's permission is not this one's.
    let mut settings = settings();
    settings.hosts.insert("other.example".into(), HostSettings { insecure: true, ..HostSettings::default() });
    let image = reference(&format!("{name}/app:1"));
    let error =
        registries(settings).resolve(&image, &ResolveOptions::default()).await.expect_err("not trusted");
    assert!(matches!(error, RegistryError::Pull { .. }), "{}", whole(&error));
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    // No port that was free a moment ago: another test may listen there by now.
    let name = "127.0.0.1:1";
    let error = ask(name, None).await;
    let text = whole(&error);
    assert!(text.contains(name) && text.contains("tried 5 times"), "{text}");
    assert!(error.hints().join("\n").contains("proxy"));
}
