//! Owns images that a test makes of a test image by a few lines of a Dockerfile, where every place of scripts finds them.

use crate::environment::{OwnedImage, TestEnvironment};
use crate::registry::unique;

/// An image on both daemons and in the registry, under one name.
pub(super) struct MadeImage {
    name: String,
    _owned: [OwnedImage; 2],
}

impl MadeImage {
    /// Makes an image; `FROM` names a test image such as `s2i-foreign:1`.
    pub(super) fn new(stem: &str, dockerfile: &str) -> Self {
        let environment = TestEnvironment::get();
        let name = format!("{}/{}:1", environment.registry(), unique(stem));
        let [docker, podman] = environment.daemons();
        let owned = [docker.adopted_image(&name), podman.adopted_image(&name)];
        let text = dockerfile.replacen("FROM ", "FROM b2i-test/", 1);
        let built = docker.output_of_input(&["build", "--quiet", "--tag", &name, "-"], text.into_bytes());
        assert!(built.status.success(), "{built:?}");
        docker.stdout(&["push", &name]);
        let loaded = podman.output_of_input(&["load"], docker.stdout(&["save", &name]));
        assert!(loaded.status.success(), "{loaded:?}");
        Self { name, _owned: owned }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A line of a Dockerfile that makes a script.
pub(super) fn script(path: &str, text: &str) -> String {
    let (directory, _) = path.rsplit_once('/').expect("an absolute path");
    let lines: Vec<String> = text.lines().map(|line| format!("'{line}'")).collect();
    assert!(!text.contains('\''), "it stands in quotes");
    let lines = lines.join(" ");
    format!(
        "RUN mkdir -p {directory} && printf '%s\\n' '#!/bin/sh' 'set -e' {lines} >{path} && chmod 755 {path}\n"
    )
}

/// Everything that lies in a directory of an image, with modes, owners and contents.
pub(super) fn tree(image: &super::Image, directory: &str) -> String {
    image.shell(&format!(
        "cd {directory} && find . | sort | while read -r path; do stat -c '%n %A %u:%g' \"$path\"; \
         if [ -L \"$path\" ]; then readlink \"$path\"; elif [ -f \"$path\" ]; then md5sum <\"$path\"; fi; done"
    ))
}
