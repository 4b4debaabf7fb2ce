//! Who asks: passwords, tokens, identity tokens; and where they never go.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::image::{Image, ImageReference};
use b2i::store::WrittenImage;
use b2i::store::registry::{Registries, RegistryError, RegistrySettings, ResolveOptions};

use super::fake::{Access, FakeRegistry, Fault, Kind};
use super::{
    layer, manifest, noise, on, plain, reference, registries, scratch, settings, whole, with_credentials,
    with_password,
};

const PASSWORD: &str = "user:secret";

fn tokens(password: Option<&'static str>) -> Access {
    Access::Token { password, identity: None, uses: usize::MAX, closed: None }
}

fn tag(registry: &FakeRegistry, repository: &str) -> ImageReference {
    reference(&format!("{}/{repository}:1", registry.name()))
}

fn image() -> Image {
    on(scratch(), layer("/new", noise(9, 6 << 20), 0o755))
}

async fn publish(registries: &Registries, tag: ImageReference) -> Result<WrittenImage, RegistryError> {
    super::publish(registries, &image(), &[tag], &plain()).await
}

async fn resolve(registries: &Registries, tag: &ImageReference) -> Result<(), RegistryError> {
    registries.resolve(tag, &ResolveOptions::default()).await.map(drop)
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_the_password_shown_to_its_service_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = FakeRegistry::start(tokens(Some(PASSWORD)), |_| Fault::None);
    let registries = registries(with_password(&registry.name(), PASSWORD, directory.path()));
    publish(&registries, tag(&registry, "app")).await.expect("published");
    registry.assert_sound();
    assert_eq!(registry.count(Kind::Token), 1);
    for seen in registry.log() {
        let basic = seen.authorization.as_deref().is_some_and(|text| text.starts_with("Basic"));
        assert_eq!(basic, seen.kind == Kind::Token, "{seen:?}");
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    let access = Access::Token { password: None, identity: Some("refresh"), uses: usize::MAX, closed: None };
    let registry = FakeRegistry::start(access, |_| Fault::None);
    let text = format!(r#"{{"auths":{{"{}":{{"identitytoken":"refresh"}}}}}}"#, registry.name());
    let registries = registries(with_credentials(&text, directory.path()));
    publish(&registries, tag(&registry, "app")).await.expect("published");
    let log = registry.log();
    let token = log.iter().find(|seen| seen.kind == Kind::Token).expect("asked");
    assert_eq!(token.method, "POST");
    for part in ["grant_type=refresh_token", "service=fake", "scope=repository%3Aapp%3Apull%2Cpush"] {
        assert!(token.body.contains(part), "{}", token.body);
    }
    let others = log.iter().filter(|seen| seen.kind != Kind::Token);
    assert!(others.into_iter().all(|seen| !format!("{seen:?}").contains("refresh")));
}

#[tokio::test]
async fn tokens_that_expire_midway_are_renewed() {
    let directory = tempfile::tempdir().expect("a directory");
    let access = Access::Token { password: Some(PASSWORD), identity: None, uses: 1, closed: None };
    let registry = FakeRegistry::start(access, |_| Fault::None);
    let registries = registries(with_password(&registry.name(), PASSWORD, directory.path()));
    publish(&registries, tag(&registry, "app")).await.expect("published");
    registry.assert_sound();
    assert!(registry.count(Kind::Token) >= 6);
}

#[tokio::test]
async fn a_mount_asks_for_both_repositories_and_does_without() {
    for (closed, mounts) in [(None, 1), (Some("base".to_owned()), 0)] {
        let directory = tempfile::tempdir().expect("a directory");
        let shut = closed.clone();
        let access = Access::Token { password: None, identity: None, uses: usize::MAX, closed: None };
        let registry = FakeRegistry::start(access, move |seen| {
            // Tokens for both at once are not given out.
            let both = seen.target.contains("base") && seen.target.contains("app");
            if shut.is_some() && seen.kind == Kind::Token && both {
                Fault::Answer(403, Vec::new(), r#"{"details":"no"}"#)
            } else {
                Fault::None
            }
        });
        let registries = registries(with_credentials("{}", directory.path()));
        publish(&registries, tag(&registry, "base")).await.expect("published");
        let base = registries.resolve(&tag(&registry, "base"), &ResolveOptions::default()).await;
        let image = on(base.expect("resolved"), layer("/app", noise(10, 1000), 0o755));
        let tags = [tag(&registry, "app")];
        super::publish(&registries, &image, &tags, &plain()).await.expect("published");
        registry.assert_sound();
        assert_eq!(registry.count(Kind::Mount), mounts, "{closed:?}");
    }
}

#[tokio::test]
async fn a_registry_that_never_lets_in_ends_clearly() {
    let directory = tempfile::tempdir().expect("a directory");
    for (access, password, expected) in [
        (Access::Nobody, Some(PASSWORD), "auth.json"),
        (Access::Nobody, None, "no credentials were sent"),
        (Access::Basic(PASSWORD), None, "no credentials were sent"),
        (Access::Basic(PASSWORD), Some("user:wrong-secret"), "auth.json"),
        (tokens(Some(PASSWORD)), None, "no credentials were sent"),
        (tokens(Some(PASSWORD)), Some("user:wrong-secret"), "auth.json"),
    ] {
        let registry = FakeRegistry::start(access, |_| Fault::None);
        let settings = match password {
            Some(password) => with_password(&registry.name(), password, directory.path()),
            None => settings(),
        };
        let registries = registries(settings);
        let error = resolve(&registries, &tag(&registry, "base")).await.expect_err("refused");
        let text = whole(&error);
        assert!(text.contains(expected) && !text.contains("secret"), "{text}");
        assert_eq!(error.kind(), FailureKind::Builder);
        let name = registry.name();
        assert!(error.hints().iter().any(|hint| hint.contains("b2i login") && hint.contains(&name)));
        let error = publish(&registries, tag(&registry, "app")).await.expect_err("refused");
        assert_eq!(error.kind(), FailureKind::Publish);
        assert!(registry.log().len() <= 14, "{:?}", registry.kinds());
    }
}

#[tokio::test]
async fn a_token_service_without_protection_gets_no_password() {
    let evil = FakeRegistry::open();
    let realm = format!(r#"Bearer realm="http://somewhere.example:{}/token",service="x""#, evil.port());
    let registry = FakeRegistry::start(Access::Open, move |_| {
        Fault::Answer(401, vec![("WWW-Authenticate", realm.clone())], "")
    });
    let directory = tempfile::tempdir().expect("a directory");
    let registries = registries(with_password(&registry.name(), PASSWORD, directory.path()));
    let error = resolve(&registries, &tag(&registry, "base")).await.expect_err("refused");
    assert!(whole(&error).contains("does not use TLS"), "{}", whole(&error));
    assert_eq!(evil.log().len(), 0);
}

#[tokio::test]
async fn credentials_stay_behind_on_a_redirect() {
    let storage = FakeRegistry::open();
    let config = b"{}";
    storage.put_blob("base", config);
    let at = storage.name();
    let registry = FakeRegistry::start(Access::Basic(PASSWORD), move |seen| match seen.kind {
        Kind::GetBlob if seen.authorization.is_some() => {
            Fault::Answer(307, vec![("Location", format!("http://{at}{}", seen.target))], "")
        }
        _ => Fault::None,
    });
    let directory = tempfile::tempdir().expect("a directory");
    let registries = registries(with_password(&registry.name(), PASSWORD, directory.path()));
    let published = publish(&registries, tag(&registry, "base")).await.expect("published");
    let error = resolve(&registries, &tag(&registry, "base")).await.expect_err("the storage lacks it");
    assert!(whole(&error).contains("404"), "{}", whole(&error));
    assert!(published.image_id != manifest(&published).digest);
    let log = storage.log();
    assert!(!log.is_empty() && log.iter().all(|seen| seen.authorization.is_none()), "{log:?}");
}

#[tokio::test]
async fn credentials_are_checked_without_a_repository() {
    use b2i::store::credentials::Credentials;
    use b2i::store::registry::LoginAnswer;

    let given = |password: &str| Credentials {
        username: "user".into(),
        password: password.into(),
        identity_token: None,
    };
    let directory = tempfile::tempdir().expect("a directory");
    for access in [Access::Basic(PASSWORD), tokens(Some(PASSWORD))] {
        let registry = FakeRegistry::start(access, |_| Fault::None);
        let name = registry.name();
        // What the files have is not shown in the place of what is given.
        let registries = registries(with_password(&name, PASSWORD, directory.path()));
        let answer = registries.check_login(&name, Some(&given("secret"))).await.expect("accepted");
        assert_eq!(answer, LoginAnswer::Accepted);
        let error = registries.check_login(&name, Some(&given("wrong"))).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Login { .. }) && error.kind() == FailureKind::Publish);
        assert!(whole(&error).contains("new credentials") && !whole(&error).contains("wrong"), "{error}");
        registries.check_login(&name, None).await.expect("those of the file");
    }
}

/// A real registry behind a password. Stops when it is dropped.
pub(crate) struct Guarded {
    process: Child,
    pub(crate) address: String,
    _directory: tempfile::TempDir,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().display();
        // bcrypt of `secret`.
        std::fs::write(directory.path().join("htpasswd"), include_str!("htpasswd")).expect("written");
        // It looks for a port itself: one that was free a moment ago may be another test's by now.
        let config = format!(
            "version: 0.1\nlog: {{level: info, formatter: json, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
             auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n\
             http: {{addr: \"127.0.0.1:0\", secret: not-a-secret}}\n"
        );
        let file = directory.path().join("registry.yml");
        std::fs::write(&file, config).expect("written");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry starts");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
            Some(entry["msg"].as_str()?.strip_prefix("listening on ")?.to_owned())
        });
        let address = address.expect("the registry says where it listens");
        // Nobody may stop reading what it goes on to say: it would end with a broken pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, _directory: directory }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn a_real_registry_behind_a_password_is_written_to_and_read() {
    let registry = Guarded::start();
    let directory = tempfile::tempdir().expect("a directory");
    let tag = reference(&format!("{}/team/app:1", registry.address));
    let with = with_password(&registry.address, PASSWORD, directory.path());
    let published = publish(&registries(with.clone()), tag.clone()).await.expect("published");
    let read = registries(with).resolve(&tag, &ResolveOptions::default()).await.expect("resolved");
    assert_eq!(read.manifest_digest, Some(manifest(&published).digest));
    for settings in [settings(), with_password(&registry.address, "user:wrong", directory.path())] {
        let settings: RegistrySettings = settings;
        let error = publish(&registries(settings), tag.clone()).await.expect_err("refused");
        assert!(error.hints().iter().any(|hint| hint.contains("b2i login")), "{}", whole(&error));
    }
}
