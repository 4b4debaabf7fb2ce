//! git uses the network as b2i is told to: its authorities, its proxies, its limit on sizes.

use b2i::sources::{GitError, SourceError};

use super::Fetcher;
use super::git_server::{GitServer, Kind};
use super::repository::Repository;
use crate::environment::{B2iCommand, B2iOutput, TestEnvironment};
use crate::fault_server::{FaultServer, Request, answer};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/fixtures/tls/ca.pem");

/// A repository as plain files, behind TLS or as a proxy gets asked for it.
fn served(repository: &Repository, tls: bool) -> FaultServer {
    repository.git(&["update-server-info"]);
    let root = repository.parent().to_owned();
    let handler = move |request: &Request, to: &mut dyn std::io::Write| {
        let target = request.line.split(' ').nth(1).unwrap_or_default();
        // A proxy is asked for the whole URL.
        let path = target.strip_prefix("http://git.invalid").unwrap_or(target);
        let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        match std::fs::read(root.join(path)) {
            Ok(body) => answer(to, "200 OK", &[("Connection", "close")], &body),
            Err(_) => answer(to, "404 Not Found", &[("Connection", "close")], b""),
        }
    };
    if tls { FaultServer::start_tls(handler) } else { FaultServer::start(handler) }
}

/// Plans a build of what is at `url`, for which it has to be fetched.
fn planned(url: &str, configuration: &str, options: &[&str]) -> B2iOutput {
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let mut command = B2iCommand::new().daemon(&TestEnvironment::get().docker());
    let directory = command.directory().join("home/.config/b2i");
    std::fs::create_dir_all(&directory).expect("the home directory is the test's");
    std::fs::write(directory.join("config.toml"), configuration).expect("writes");
    command = command.args(["build", "--dry-run", "--source-builder", &builder, url]).args(options);
    command.run()
}

#[test]
fn an_authority_of_ones_own_is_believed() {
    let repository = Repository::of(&[("pom.xml", "<project/>")]);
    let server = served(&repository, true);
    let url = server.url("/shop/.git");
    let output = planned(&url, "", &[]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("--ca-file FILE"), "{}", output.stderr);
    for (configuration, options) in
        [("", &["--ca-file", AUTHORITY][..]), (&format!("[network]\nca-files = ['{AUTHORITY}']\n"), &[])]
    {
        let output = planned(&url, configuration, options);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stdout.contains("with `pom.xml`"), "{}", output.stdout);
    }
    let none = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = planned(&url, "", &["--ca-file", none]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("no certificate in PEM form"), "{}", output.stderr);
}

#[test]
fn what_git_believes_by_itself_it_still_believes() {
    let repository = Repository::of(&[("pom.xml", "<project/>")]);
    let server = served(&repository, true);
    // A certificate that vouches for nobody is added; the right one is in git's own configuration.
    let fetcher = Fetcher::with(|options| {
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/fixtures/tls/server.pem");
        options.git.extra_ca = vec![server.into()];
    });
    fetcher.write_home(".gitconfig", &format!("[http]\n\tsslCAInfo = {AUTHORITY}\n"));
    let fetched = fetcher.fetch(&server.url("/shop/.git"));
    assert!(fetched.is_ok(), "{:?}", fetched.err());
}

#[test]
fn a_proxy_of_the_configuration_is_used() {
    let repository = Repository::of(&[("pom.xml", "<project/>")]);
    let proxy = served(&repository, false);
    let url = "http://git.invalid/shop/.git";
    assert_eq!(planned(url, "", &[]).code, Some(3), "there is no such host");
    let output = planned(url, &format!("[network]\nproxies = {{ http = '{}' }}\n", proxy.url("")), &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(proxy.requests().iter().any(|request| request.line.starts_with("GET http://git.invalid/shop/")));
}

#[test]
fn what_is_too_large_is_not_taken() {
    let too_large = |error: SourceError| {
        assert!(matches!(error, SourceError::Git(GitError::TooLarge { limit: 100_000, .. })), "{error}");
    };
    let limited = || Fetcher::with(|options| options.input.max_size = 100_000);
    // A small pack with very much in it.
    let repository = Repository::of(&[("zeros", &"0".repeat(200_000))]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let fetcher = limited();
    too_large(fetcher.fetch(&server.url("shop/.git")).err().expect("it is too large"));
    assert_eq!(fetcher.left(), 0);

    // A small commit, which is had only with all that is there: another branch has what does not shrink.
    let repository = Repository::of(&[("small", "1")]);
    let small = repository.git(&["rev-parse", "HEAD"]);
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + u8::try_from(state >> 58).expect("six bits"))
    })
    .take(300_000)
    .collect();
    repository.commit("large", &[("large", &noise)]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let fetcher = limited();
    let place = format!("{}#{}", server.url("shop/.git"), &small[..8]);
    too_large(fetcher.fetch(&place).err().expect("it is too large"));
    assert!(Fetcher::new().fetch(&place).is_ok());
}

#[test]
fn links_out_of_the_directory_are_followed_if_somebody_says_so() {
    let sources = tempfile::tempdir().expect("a temporary directory can be made");
    let write = |path: &str, text: &str| {
        let path = sources.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("makes");
        std::fs::write(path, text).expect("writes");
    };
    write("shop/pom.xml", "<project/>");
    write("shared/settings.xml", "<settings/>");
    std::os::unix::fs::symlink("../shared", sources.path().join("shop/configuration")).expect("links");
    let shop = sources.path().join("shop").display().to_string();
    let output = planned(&shop, "", &[]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("`--follow-links`"), "{}", output.stderr);
    let output = planned(&shop, "", &["--follow-links", "--format", "json"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let plan: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        plan["source"]["source"]["entries"], 3,
        "the directory and its file, and the build file: {plan}"
    );
}
