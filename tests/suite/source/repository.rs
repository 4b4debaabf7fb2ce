//! Owns real git repositories that tests make.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository with a working tree, and nobody's configuration.
pub(crate) struct Repository {
    root: tempfile::TempDir,
}

impl Repository {
    /// An empty one whose branch is `main`.
    pub(crate) fn empty() -> Self {
        Self::with_format("sha1")
    }

    /// The same with another kind of ids.
    pub(crate) fn with_format(format: &str) -> Self {
        let repository = Self { root: tempfile::tempdir().expect("temporary directory") };
        std::fs::create_dir(repository.path()).expect("creates");
        repository.git(&["init", "--quiet", "--initial-branch=main", &format!("--object-format={format}")]);
        repository
    }

    /// One with a commit that has these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let repository = Self::empty();
        repository.commit("first", files);
        repository
    }

    /// Its working tree.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("shop")
    }

    /// The directory that it is in, for servers.
    pub(crate) fn parent(&self) -> &Path {
        self.root.path()
    }

    /// Writes files and commits everything. Returns the commit's id.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.path().join(name);
            std::fs::create_dir_all(path.parent().expect("is in a directory")).expect("creates");
            std::fs::write(path, text).expect("writes");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in it and returns what it printed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("tests run with a PATH"))
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ada Löve"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
            .envs([("GIT_COMMITTER_NAME", "Bob"), ("GIT_COMMITTER_EMAIL", "bob@example.org")])
            .envs([("GIT_AUTHOR_DATE", "1700000000 +0100"), ("GIT_COMMITTER_DATE", "1700000001 +0000")])
            .output()
            .expect("git is installed");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// Its URL on this machine.
    pub(crate) fn file_url(&self) -> String {
        format!("file://{}", self.path().display())
    }
}
