//! Owns builder images that a test makes for itself, on the daemon where it wants them.

use crate::environment::{Daemon, OwnedImage, TestEnvironment};

/// Builds an image on Docker from a Dockerfile and the programs and directories (`name/`) beside it, and brings it to
/// `daemon`.
pub(super) fn image_of(daemon: &Daemon, dockerfile: &str, programs: &[(&str, &[u8])]) -> OwnedImage {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in programs.iter().copied().chain([("Dockerfile", dockerfile.as_bytes())]) {
        let mut header = tar::Header::new_ustar();
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).expect("a Vec can be written to");
    }
    let docker = TestEnvironment::get().docker();
    let image = docker.owned_image("builder");
    let build = ["build", "--quiet", "--force-rm", "--tag", image.reference(), "-"];
    let built = docker.output_of_input(&build, tar.into_inner().expect("a Vec can be written to"));
    assert!(built.status.success(), "{built:?}");
    if daemon.name == docker.name {
        return image;
    }
    let adopted = daemon.adopted_image(image.reference());
    let loaded = daemon.output_of_input(&["load"], docker.stdout(&["save", image.reference()]));
    assert!(loaded.status.success(), "{loaded:?}");
    adopted
}

/// As `image_of`, on a test image.
pub(super) fn image_on(daemon: &Daemon, base: &str, instructions: &str) -> OwnedImage {
    let base = TestEnvironment::get().image(base);
    image_of(daemon, &format!("FROM {base}\n{instructions}\n"), &[])
}

/// An image that has nothing but two static programs: these bytes are `assemble`, and b2i's launcher is `run`.
pub(super) fn without_shell(daemon: &Daemon, assemble: &[u8]) -> OwnedImage {
    let dockerfile = "FROM scratch\nCOPY assemble run /s2i/\nCOPY --chown=1001:0 app /app\nENV APP_ROOT=/app\n\
        WORKDIR /app/bin\nUSER 1001\nLABEL io.openshift.s2i.scripts-url=image:///s2i\n";
    let programs = [("app/", &b""[..]), ("app/bin/", b""), ("assemble", assemble), ("run", launcher())];
    image_of(daemon, dockerfile, &programs)
}

/// The static program that is `assemble` and `run` by its name.
pub(super) fn launcher() -> &'static [u8] {
    b2i::launcher::for_platform(&"linux/amd64".parse().expect("a platform")).expect("there is one")
}
