//! Repositories, fetched by every transport that works without a second machine.

use std::os::unix::fs::symlink;

use b2i::sources::{GitError, SourceError};

use super::Fetcher;
use super::git_server::{GitServer, Kind};
use super::repository::Repository;

const FILES: &[(&str, &str)] =
    &[("pom.xml", "<project/>"), ("src/Main.java", "class Main {}"), (".gitignore", "target")];

#[test]
fn the_default_branch_comes_shallow_and_with_its_facts() {
    let repository = Repository::of(FILES);
    std::fs::write(repository.path().join("mvnw"), "#!/bin/sh\n").expect("writes");
    symlink("src/Main.java", repository.path().join("link")).expect("links");
    std::fs::set_permissions(
        repository.path().join("mvnw"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("chmod");
    let id = repository.commit("Subject: a\n\nBody", &[]);
    // Not committed, so not in the repository.
    std::fs::write(repository.path().join("uncommitted"), "").expect("writes");
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let fetcher = Fetcher::new();
    let fetched = fetcher.fetch(&server.url("shop/.git")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.paths(), [".gitignore", "link", "mvnw", "pom.xml", "src", "src/Main.java"]);
    assert_eq!((fetched.mode("mvnw"), fetched.mode("pom.xml")), (0o755, 0o644));
    assert_eq!(fetched.link("link"), "src/Main.java");
    assert_eq!(fetched.text("src/Main.java"), "class Main {}");
    assert_eq!(fetched.tree.name, "shop");
    assert_eq!(fetched.tree.info.location, Some(server.url("shop/.git")));
    let commit = fetched.tree.info.commit.clone().expect("has one");
    assert_eq!((commit.id, commit.reference.as_str()), (id, "main"));
    assert_eq!(commit.author, "Ada Löve <ada@example.org>");
    assert_eq!(commit.date, "Tue Nov 14 23:13:20 2023 +0100");
    assert_eq!(commit.message, "Subject: a");
    assert!(fetched.checked_out().join(".git/shallow").exists(), "the first commit was not fetched");
    drop(fetched);
    assert_eq!(fetcher.left(), 0);
}

#[test]
fn branches_tags_and_commits_are_honoured() {
    let repository = Repository::of(FILES);
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "--annotate", "--message", "release", "v1"]);
    let second = repository.commit("second", &[("test/file", "2")]);
    // Each is named like something in the tree, which confuses `git checkout NAME`.
    repository.git(&["branch", "test"]);
    repository.git(&["branch", "src/Main.java"]);
    let third = repository.commit("third", &[("test/file", "3")]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let bare = repository.parent().join("bare.git");
    repository.git(&["clone", "--quiet", "--bare", ".", bare.to_str().expect("UTF-8")]);
    let places = [server.url("shop"), repository.file_url(), bare.display().to_string()];
    for place in &places {
        for (reference, id) in [
            ("v1", &first),
            ("refs/tags/v1", &first),
            ("test", &second),
            ("refs/heads/test", &second),
            ("src/Main.java", &second),
            ("main", &third),
            ("HEAD", &third),
            (&first, &first),
            (&second, &second),
            (&first[..9], &first),
            (&first.to_ascii_uppercase()[..9], &first),
        ] {
            let fetcher = Fetcher::new();
            let fetched = fetcher.fetch(&format!("{place}#{reference}"));
            let fetched = fetched.unwrap_or_else(|error| panic!("{place} {reference}: {error}"));
            let commit = fetched.tree.info.commit.as_ref().expect("has one");
            assert_eq!(commit.id, *id, "{place} {reference}");
            let name = if reference == "HEAD" { "main" } else { reference };
            assert_eq!(commit.reference, name, "{place}");
            // Where the building machine has it is nobody's business.
            assert_eq!(fetched.tree.info.location.is_some(), place.starts_with("http"));
        }
    }
}

#[test]
fn a_commit_that_the_server_does_not_give_is_found_behind_the_branches() {
    let repository = Repository::of(FILES);
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.commit("second", &[("a", "2")]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let fetcher = Fetcher::new();
    // Before version 2 of the protocol only what a branch or tag ends at could be asked for.
    fetcher.write_home(".gitconfig", "[protocol]\n\tversion = 0\n");
    let fetched =
        fetcher.fetch(&format!("{}#{first}", server.url("shop"))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.tree.info.commit.as_ref().expect("has one").id, first);
    assert!(!fetched.paths().contains(&"a"));
}

#[test]
fn a_tag_comes_before_a_branch_of_its_name_with_a_warning() {
    let repository = Repository::of(FILES);
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "both"]);
    repository.commit("second", &[("a", "2")]);
    repository.git(&["branch", "both"]);
    let fetcher = Fetcher::new();
    let fetched =
        fetcher.fetch(&format!("{}#both", repository.file_url())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.tree.info.commit.as_ref().expect("has one").id, first);
    assert!(fetcher.warnings()[0].contains("a branch and a tag `both`"), "{:?}", fetcher.warnings());
}

#[test]
fn what_is_not_there_is_named() {
    let repository = Repository::empty();
    let url = repository.file_url();
    let fetcher = Fetcher::new();
    let is_empty = |result: Result<_, _>| {
        matches!(result.map(|_: super::Fetched| ()), Err(SourceError::Git(GitError::EmptyRepository { .. })))
    };
    assert!(is_empty(fetcher.fetch(&url)));
    assert!(is_empty(fetcher.fetch(&format!("{url}#v1"))));
    repository.git(&["checkout", "--quiet", "-b", "other"]);
    repository.commit("first", FILES);
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    let message = fetcher.failure(&url);
    assert!(
        message.contains("does not lead to a commit; it has other") && message.contains("--ref"),
        "{message}"
    );
    let message = fetcher.failure(&format!("{url}#v1"));
    assert!(message.contains("no branch or tag `v1`; it has other"), "{message}");
    let message = fetcher.failure(&format!("{url}#abcdef0"));
    assert!(message.contains("no commit `abcdef0`"), "{message}");
    let message = fetcher.failure("file:///nowhere/at/all.git");
    assert!(message.contains("/nowhere/at/all.git"), "{message}");
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let message = fetcher.failure(&server.url("missing"));
    assert!(message.contains("not found") && message.contains("check the address"), "{message}");
    let message = fetcher.failure("http://127.0.0.1:1/shop.git");
    assert!(message.contains("127.0.0.1:1") && message.contains("the network"), "{message}");
    let offline = Fetcher::with(|options| options.input.offline = true);
    assert!(offline.failure("http://127.0.0.1:1/shop.git").contains("without network access"));
    offline.fetch(&format!("{url}#other")).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn without_git_it_says_what_to_install() {
    let fetcher =
        Fetcher::with(|options| options.git.environment = vec![("PATH".into(), "/nonexistent".into())]);
    let message = fetcher.failure("https://git.example/shop.git");
    assert!(message.contains("not installed") && message.contains("apt-get install git"), "{message}");
}

#[test]
fn the_context_directory_is_in_the_repository() {
    let repository = Repository::of(&[("web/pom.xml", ""), ("web/a", ""), ("other", "")]);
    let fetcher = Fetcher::with(|options| options.context_directory = Some("./web".to_owned()));
    let fetched = fetcher.fetch(&repository.file_url()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.paths(), ["a", "pom.xml"]);
    assert_eq!(fetched.tree.info.context_directory.as_deref(), Some("web"));
    let fetcher = Fetcher::with(|options| options.context_directory = Some("missing".to_owned()));
    assert!(fetcher.failure(&repository.file_url()).contains("has no directory `missing`"));
}

#[test]
fn submodules_come_along_unless_they_are_not_wanted() {
    let inner = Repository::of(&[("deep.txt", "deep")]);
    let inner_server = GitServer::start(inner.parent(), Kind::Smart);
    let library = Repository::of(&[("lib.c", "int x;")]);
    library.git(&["submodule", "--quiet", "add", &inner_server.url("shop"), "inner"]);
    library.commit("with inner", &[]);
    let library_server = GitServer::start(library.parent(), Kind::Smart);
    let repository = Repository::of(FILES);
    repository.git(&["submodule", "--quiet", "add", &library_server.url("shop"), "lib"]);
    let pinned = library.git(&["rev-parse", "HEAD"]);
    repository.commit("with library", &[]);
    // What is pinned is no longer what the branch ends at.
    library.commit("later", &[("later", "")]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    for version in ["2", "0"] {
        let fetcher = Fetcher::new();
        fetcher.write_home(".gitconfig", &format!("[protocol]\n\tversion = {version}\n"));
        let fetched = fetcher.fetch(&server.url("shop")).unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!(fetched.text("lib/inner/deep.txt"), "deep");
        assert!(!fetched.paths().contains(&"lib/later"), "{pinned} was wanted");
        assert!(fetched.paths().iter().all(|path| !path.contains(".git/") && !path.ends_with(".git")));
    }
    let fetcher = Fetcher::with(|options| options.submodules = false);
    let fetched = fetcher.fetch(&server.url("shop")).unwrap_or_else(|error| panic!("{error}"));
    assert!(fetched.paths().contains(&"lib") && !fetched.paths().contains(&"lib/lib.c"));
}

#[test]
fn a_plain_web_server_is_enough() {
    let repository = Repository::of(FILES);
    repository.commit("second", &[("a", "2")]);
    repository.git(&["update-server-info"]);
    let server = GitServer::start(repository.parent(), Kind::Plain);
    let fetcher = Fetcher::new();
    let fetched = fetcher.fetch(&server.url("shop/.git")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.text("a"), "2");
}

#[test]
fn credentials_come_from_the_users_files_and_are_never_shown() {
    let repository = Repository::of(FILES);
    let server = GitServer::start(repository.parent(), Kind::Protected);
    let url = server.url("shop");
    let fetcher = Fetcher::new();
    let message = fetcher.failure(&url);
    assert!(message.contains("credential helper") && message.contains(".netrc"), "{message}");
    fetcher.write_home(".netrc", "machine 127.0.0.1 login me password hunter2\n");
    let fetched = fetcher.fetch(&url).unwrap_or_else(|error| panic!("{error}"));
    assert!(!format!("{:?}", fetched.tree.info).contains("hunter2"));

    let fetcher = Fetcher::new();
    let helper = "[credential]\n\thelper = \"!f() { echo username=me; echo password=hunter2; }; f\"\n";
    fetcher.write_home(".gitconfig", helper);
    fetcher.fetch(&url).unwrap_or_else(|error| panic!("{error}"));

    // A rewritten URL has them in it, and git repeats it when it fails.
    let fetcher = Fetcher::new();
    let rewritten = url.replace("http://", "http://me:hunter2@");
    fetcher.write_home(".gitconfig", &format!("[url \"{rewritten}\"]\n\tinsteadOf = {url}\n"));
    fetcher.fetch(&url).unwrap_or_else(|error| panic!("{error}"));
    let wrong = rewritten.replace("/shop", "/nothing");
    fetcher.write_home(".gitconfig", &format!("[url \"{wrong}\"]\n\tinsteadOf = {url}\n"));
    let message = fetcher.failure(&url);
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn repositories_with_sha_256_work() {
    let repository = Repository::with_format("sha256");
    let id = repository.commit("first", FILES);
    assert_eq!(id.len(), 64);
    for text in [repository.file_url(), format!("{}#{id}", repository.file_url())] {
        let fetched = Fetcher::new().fetch(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fetched.tree.info.commit.as_ref().expect("has one").id, id);
    }
}

#[test]
fn the_same_commit_is_the_same_tree_whatever_is_configured() {
    let repository = Repository::of(&[
        ("unix", "a\nb\n"),
        ("plain", "x"),
        (".gitattributes", "*.big filter=lfs\n"),
        ("a.big", "version https://git-lfs"),
    ]);
    let fetcher = Fetcher::new();
    let configuration = "[core]\n\tautocrlf = true\n\tattributesFile = ~/attributes\n[filter \"lfs\"]\n\tsmudge = false\n\trequired = true\n[log]\n\tdate = iso\n\tshowSignature = true\n";
    fetcher.write_home(".gitconfig", configuration);
    fetcher.write_home("attributes", "* text eol=crlf\n");
    let fetched = fetcher.fetch(&repository.file_url()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.text("unix"), "a\nb\n");
    assert_eq!(fetched.text("a.big"), "version https://git-lfs");
    assert_eq!(fetched.tree.info.commit.as_ref().expect("has one").date, "Tue Nov 14 23:13:20 2023 +0100");
    assert!(fetcher.warnings()[0].contains("`a.big` stay pointer files"), "{:?}", fetcher.warnings());
}

#[test]
fn a_url_that_the_user_replaces_by_a_repository_of_this_machine_is_fetched_from_there() {
    let repository = Repository::of(FILES);
    let path = repository.path().join(".git").display().to_string();
    for target in [path.clone(), format!("file://{path}")] {
        let fetcher = Fetcher::new();
        let url = "https://mirrored.example/team/shop.git";
        fetcher.write_home(".gitconfig", &format!("[url \"{target}\"]\n\tinsteadOf = {url}\n"));
        let fetched = fetcher.fetch(url).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert_eq!(fetched.text("src/Main.java"), "class Main {}", "{target}");
        assert_eq!(fetched.tree.info.location.as_deref(), Some(url), "no path of the machine is recorded");
    }
}

#[test]
fn a_directory_that_is_a_repository_is_taken_as_it_is() {
    let repository = Repository::of(FILES);
    std::fs::write(repository.path().join("uncommitted"), "").expect("writes");
    let fetcher = Fetcher::new();
    let path = repository.path();
    let fetched = fetcher.fetch(path.to_str().expect("UTF-8")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.paths(), [".gitignore", "pom.xml", "src", "src/Main.java", "uncommitted"]);
    assert_eq!(fetched.tree.info.commit, None);
    assert_eq!(fetched.tree.info.location, None);
}
