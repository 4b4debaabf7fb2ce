//! Repositories and servers that mean harm, or do not answer.

use std::path::Path;
use std::time::{Duration, Instant};

use b2i::events::Events;
use b2i::fs::Lease;
use b2i::sources::{GitError, SourceError, SourceLocation, fetch_source};

use super::Fetcher;
use super::git_server::{GitServer, Kind};
use super::repository::Repository;

/// A repository whose submodule is at `url`, which need not exist.
fn with_submodule(url: &str, more: &str) -> Repository {
    let repository = Repository::of(&[("pom.xml", "")]);
    let modules = format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {url}\n{more}");
    let id = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},lib")]);
    std::fs::write(repository.path().join(".gitmodules"), modules).expect("writes");
    repository.git(&["add", ".gitmodules"]);
    repository.git(&["commit", "--quiet", "--message", "hostile"]);
    repository
}

#[test]
fn a_submodule_reaches_neither_this_machine_nor_a_helper() {
    let secret = Repository::of(&[("secret", "x")]);
    let marker = secret.parent().join("ran");
    let run = format!("touch {}", marker.display());
    let urls = [
        secret.file_url(),
        secret.path().display().to_string(),
        "../shop".to_owned(),
        format!("ext::sh -c {}", run.replace(' ', "% ")),
        format!("-u{}", marker.display()),
        format!("ssh://-oProxyCommand={}/x", run.replace(' ', "$IFS")),
    ];
    for url in urls {
        let repository = with_submodule(&url, "");
        let server = GitServer::start(repository.parent(), Kind::Smart);
        // The user's own repository being on this machine opens nothing for its submodules.
        for place in [server.url("shop"), repository.file_url()] {
            if url == "../shop" && place.starts_with("http") {
                continue;
            }
            let message = Fetcher::new().failure(&place);
            assert!(message.contains("submodule") || message.contains("transport"), "{url}: {message}");
            assert!(!marker.exists(), "{url}");
        }
    }
}

#[test]
fn a_submodule_cannot_name_a_command() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let marker = directory.path().join("ran");
    let library = Repository::of(&[("lib.c", "")]);
    let server = GitServer::start(library.parent(), Kind::Smart);
    let command = format!("\tupdate = !touch {}\n", marker.display());
    let repository = with_submodule(&server.url("shop"), &command);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    drop(Fetcher::new().fetch(&server.url("shop")));
    assert!(!marker.exists());
}

#[test]
fn nothing_of_a_repository_or_a_template_is_run() {
    let fetcher = Fetcher::new();
    let marker = fetcher.root.path().join("ran");
    let hook = format!("#!/bin/sh\ntouch {}\n", marker.display());
    let repository =
        Repository::of(&[("pom.xml", ""), ("hooks/post-checkout", &hook), ("config", "[core]\n")]);
    let templates = fetcher.root.path().join("home/templates/hooks");
    std::fs::create_dir_all(&templates).expect("creates");
    for directory in [&templates, &repository.path().join(".git/hooks"), &repository.path().join("hooks")] {
        std::fs::create_dir_all(directory).expect("creates");
        for name in ["post-checkout", "reference-transaction", "fsmonitor-watchman"] {
            let path = directory.join(name);
            std::fs::write(&path, &hook).expect("writes");
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .expect("chmod");
        }
    }
    let configuration = format!(
        "[init]\n\ttemplateDir = ~/templates\n[core]\n\thooksPath = hooks\n\tfsmonitor = {}\n",
        templates.join("post-checkout").display()
    );
    fetcher.write_home(".gitconfig", &configuration);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let fetched = fetcher.fetch(&server.url("shop")).unwrap_or_else(|error| panic!("{error}"));
    assert!(!fetched.checked_out().join(".git/hooks").exists());
    assert!(!marker.exists());
}

#[test]
fn links_out_of_a_repository_are_refused_whatever_is_asked_for() {
    for target in ["/etc/passwd", "../../../../etc/passwd", ".."] {
        let repository = Repository::of(&[("pom.xml", "")]);
        std::os::unix::fs::symlink(target, repository.path().join("link")).expect("links");
        repository.commit("link", &[]);
        let fetcher = Fetcher::with(|options| options.follow_links = true);
        let message = fetcher.failure(&repository.file_url());
        assert!(message.contains("link` leads out of the sources"), "{message}");
        let fetcher = Fetcher::with(|options| options.exclude = Some("^link$".to_owned()));
        let fetched = fetcher.fetch(&repository.file_url()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fetched.paths(), ["pom.xml"]);
    }
}

/// A tree that no git would make has an entry `.git`; each name that some system takes for it is as bad.
#[test]
fn trees_with_a_git_directory_in_them_are_refused() {
    for name in [".git", ".GIT", "git~1", ".g\u{200c}it"] {
        let repository = Repository::of(&[("pom.xml", "")]);
        let blob = repository.git(&["rev-parse", "HEAD:pom.xml"]);
        let tree_file = repository.parent().join("tree");
        // `git mktree` refuses nothing of this; `git add` would.
        std::fs::write(&tree_file, format!("100755 blob {blob}\tpost-checkout\n")).expect("writes");
        let make = |path: &Path| {
            let input = std::fs::File::open(path).expect("opens");
            let output = std::process::Command::new("git")
                .arg("mktree")
                .current_dir(repository.path())
                .stdin(input)
                .output()
                .expect("git is installed");
            String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
        };
        let hooks = make(&tree_file);
        std::fs::write(&tree_file, format!("040000 tree {hooks}\t{name}\n")).expect("writes");
        let tree = make(&tree_file);
        let commit = repository.git(&["commit-tree", "-m", "hostile", &tree]);
        repository.git(&["update-ref", "refs/heads/main", &commit]);
        let message = Fetcher::new().failure(&repository.file_url());
        assert!(message.contains("check out") && message.contains("invalid path"), "{name}: {message}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_and_nothing_stays() {
    let repository = Repository::of(&[]);
    let server = GitServer::start(repository.parent(), Kind::Silent);
    let fetcher = Fetcher::with(|options| options.git.timeout = Duration::from_millis(400));
    let error = fetcher.fetch(&server.url("shop")).map(|_| ()).expect_err("is given up");
    assert!(matches!(error, SourceError::Git(GitError::TooLong { .. })), "{error}");
    assert_eq!(fetcher.left(), 0);
    assert_no_process_in(&fetcher.cache());
}

#[test]
fn dropping_a_fetch_ends_git_and_what_it_started() {
    let repository = Repository::of(&[]);
    let server = GitServer::start(repository.parent(), Kind::Silent);
    let fetcher = Fetcher::new();
    let lease = Lease::acquire(&fetcher.cache()).expect("acquires");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let location = SourceLocation::parse(&server.url("shop")).expect("valid");
    runtime.block_on(async {
        let events = Events::silent();
        let fetch = fetch_source(&location, &fetcher.options, &lease, std::io::empty(), &events);
        let waiting = tokio::time::timeout(Duration::from_millis(400), fetch).await;
        assert!(waiting.is_err(), "it waits for the server");
    });
    assert_no_process_in(lease.temporary_directory());
    drop(lease);
    assert_eq!(fetcher.left(), 0);
}

/// No process works in `directory`, a moment later at the latest.
fn assert_no_process_in(directory: &Path) {
    let started = Instant::now();
    let working = || {
        let processes = std::fs::read_dir("/proc").expect("lists").filter_map(Result::ok);
        let mut places = processes.filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
        places.find(|place| place.starts_with(directory))
    };
    while let Some(place) = working() {
        assert!(started.elapsed() < Duration::from_secs(20), "something still works in {}", place.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
