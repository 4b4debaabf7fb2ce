//! What is mounted in a container: who can do what in it, that nothing of it or of its place is in the layer, and that no
//! link of an image leads it anywhere else.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use b2i::engine::{ContainerSpec, Diff, Engine, Mount, MountSource};
use b2i::events::Event;
use futures_util::StreamExt;

use super::{Found, Setup, Tar, USER, Who, as_everybody, found, path};

/// A directory that is apart from the cache, with a file in it.
fn directory(setup: &Setup, name: &str) -> PathBuf {
    let directory = setup.root().join(name);
    std::fs::create_dir(&directory).expect("made");
    std::fs::write(directory.join("file"), "of the host\n").expect("written");
    directory
}

fn mount(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount { source: MountSource::Path(source.to_owned()), target: path(target), read_only }
}

fn warnings(setup: &Setup) -> Vec<String> {
    let told = setup.told.lock().expect("not poisoned");
    let warning = |event: &Event| match event {
        Event::Warning { message, .. } => Some(message.clone()),
        _ => None,
    };
    told.iter().filter_map(warning).collect()
}

/// Runs a script and gives what it printed and what it changed.
async fn run(
    setup: &Setup,
    layers: Vec<Vec<u8>>,
    script: &str,
    user: &str,
    mounts: Vec<Mount>,
) -> (Vec<String>, BTreeMap<String, Found>) {
    let spec = ContainerSpec { user: Some(user.into()), mounts, ..setup.spec(script) };
    let container = setup.engine(layers).create(spec).await.expect("created");
    let before = setup.lines().len();
    let ended = container.run(&setup.events()).await.expect("ran");
    assert_eq!(ended.exit_code, 0, "{script}: {:?}", ended.last_lines);
    let changes = container.take_changes(&setup.events()).await.expect("taken");
    container.remove().await.expect("removed");
    (setup.lines().split_off(before), changes_of(&changes))
}

/// What changed beside the working directory, which the image lacks.
fn changes_of(changes: &Diff) -> BTreeMap<String, Found> {
    let mut found = found(changes);
    found.retain(|path, _| !path.starts_with("work"));
    found
}

#[test]
fn directories_and_files_are_there_and_never_in_the_layer() {
    as_everybody("sandbox::mounts::directories_and_files_are_there_and_never_in_the_layer", async |_| {
        let setup = Setup::new();
        let shared = directory(&setup, "shared");
        std::fs::create_dir(shared.join("deep")).expect("made");
        std::fs::write(setup.root().join("settings"), "settings\n").expect("written");
        std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).expect("mode");
        let mounts = vec![
            // In an order in which the outer one would hide the inner.
            mount(&setup.root().join("settings"), "/data/here/deep/settings", true),
            mount(&shared, "/data/here", false),
            mount(&setup.root().join("settings"), "/new/etc/settings", true),
            mount(&shared, "/home/app", true),
        ];
        let script = "cat /data/here/file /data/here/deep/settings /new/etc/settings /home/app/file; \
                      ls /home/app; echo written > /data/here/new; echo own > /data/own; echo x > /new/etc/other; \
                      (echo x > /home/app/x) 2>/dev/null && echo wrote; (echo x > /new/etc/settings) 2>/dev/null && echo wrote; \
                      chmod 700 /data/here 2>/dev/null; touch /tmp/end";
        let (lines, changes) = run(&setup, Vec::new(), script, "0", mounts).await;
        assert_eq!(
            lines,
            ["of the host", "settings", "settings", "of the host", "deep", "file"],
            "{:?}",
            setup.notes()
        );
        let paths: Vec<&str> = changes.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["data", "data/own", "new", "new/etc", "new/etc/other", "tmp", "tmp/end"],
            "the places are no change, but what else is there"
        );
        assert_eq!(changes["data"].mode, 0o755);
        assert_eq!(std::fs::read(shared.join("new")).expect("written"), b"written\n");
        // What was made in the mounted directory to mount at is the directory's, as on Docker.
        assert_eq!(std::fs::read(shared.join("deep/settings")).expect("made"), b"");
        assert_eq!(std::fs::read(shared.join("file")).expect("there"), b"of the host\n");
    });
}

#[test]
fn users_write_what_is_theirs() {
    as_everybody("sandbox::mounts::users_write_what_is_theirs", async |who| {
        let setup = Setup::new();
        let own = if matches!(who, Who::Root | Who::Bare) { 0 } else { USER };
        let shared = directory(&setup, "shared");
        let script = "(echo x > /mnt/made) 2>/dev/null && stat -c %u:%g /mnt/made || echo refused; stat -c %u /mnt/file";
        for (user, mode, written) in [
            ("0", 0o755, true),
            ("app", 0o777, true),
            // With one mapped id, everybody is the user who started b2i.
            ("app", 0o755, who == Who::Single),
        ] {
            std::fs::set_permissions(&shared, PermissionsExt::from_mode(mode)).expect("mode");
            let known = warnings(&setup).len();
            let (lines, changes) =
                run(&setup, Vec::new(), script, user, vec![mount(&shared, "/mnt", false)]).await;
            let number = if user == "0" { "0" } else { "1001" };
            let expected = if written { format!("{number}:0") } else { "refused".to_owned() };
            let of_file = if who == Who::Single { number } else { "0" };
            assert_eq!(lines, [&*expected, of_file], "{who:?} {user} {mode:o}");
            assert_eq!(changes.len(), 0, "{changes:?}");
            let warned = warnings(&setup).split_off(known);
            assert_eq!(warned.is_empty(), written, "{who:?} {user} {mode:o}: {warned:?}");
            if written {
                let made = std::fs::metadata(shared.join("made")).expect("made");
                let owner = match (who, user) {
                    (Who::Subordinate, "app") => 1_500_000 + 1000,
                    (Who::Root | Who::Bare, "app") => 1001,
                    _ => own,
                };
                assert_eq!(made.uid(), owner, "{who:?} {user}");
                std::fs::remove_file(shared.join("made")).expect("the directory is ours");
            }
        }
        if own == 0 {
            std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o700)).expect("mode");
            std::os::unix::fs::chown(&shared, Some(1001), Some(0)).expect("owner");
            let (lines, _) =
                run(&setup, Vec::new(), script, "app", vec![mount(&shared, "/mnt", false)]).await;
            assert_eq!(lines[0], "1001:0", "{who:?}: numbers are the same on both sides");
        }
    });
}

#[test]
fn no_link_leads_a_mount_out_of_the_root() {
    as_everybody("sandbox::mounts::no_link_leads_a_mount_out_of_the_root", async |_| {
        let setup = Setup::new();
        let shared = directory(&setup, "shared");
        let outside = setup.root().join("outside");
        std::fs::create_dir(&outside).expect("made");
        let up = "../".repeat(9);
        let tar = Tar::new()
            .link("out", &format!("{up}{}", outside.display()))
            .link("absolute", outside.to_str().expect("text"))
            .link("inside", "/home/app/../app")
            .link("proc-root", "/proc/1/root");
        let mounts = vec![
            mount(&shared, "/out/place", true),
            mount(&shared, "/absolute/other", true),
            mount(&shared, "/inside/place", true),
        ];
        let script =
            format!("cat {0}/place/file {0}/other/file /home/app/place/file; touch /end", outside.display());
        // The links lead to places in the image, which are not there: each is made for the mount alone.
        let spec = ContainerSpec { user: Some("0".into()), mounts, ..setup.spec(&script) };
        let made = setup.engine(vec![tar.finish()]).create(spec).await;
        let error = made.expect_err("what a link leads to is not made");
        assert!(error.to_string().contains("make the directory"), "{error}");
        assert_eq!(std::fs::read_dir(&outside).expect("lists").count(), 0);

        let tar = Tar::new()
            .directory(outside.strip_prefix("/").expect("absolute").to_str().expect("text"), 0o755, (0, 0))
            .link("out", &format!("{up}{}", outside.display()))
            .link("absolute", outside.to_str().expect("text"))
            .link("inside", "/home/app/../app");
        let mounts = vec![
            mount(&shared, "/out/place", true),
            mount(&shared, "/absolute/other", true),
            mount(&shared, "/inside/place", true),
        ];
        let (lines, changes) = run(&setup, vec![tar.finish()], &script, "0", mounts).await;
        assert_eq!(lines, ["of the host"; 3]);
        let paths: Vec<&str> = changes.keys().map(String::as_str).collect();
        assert_eq!(paths, ["end"]);
        assert_eq!(std::fs::read_dir(&outside).expect("lists").count(), 0, "nothing was made on the host");

        for (tar, target, reason) in [
            (Tar::new(), "/proc/place", "has its own `/proc`"),
            (Tar::new().link("fd", "/dev"), "/fd/place", "has its own `/dev`"),
            (Tar::new().link("root", "/"), "/root", "the container's root"),
        ] {
            let mounts = vec![mount(&shared, target, true)];
            let spec = ContainerSpec { mounts, ..setup.spec("true") };
            let error = setup.engine(vec![tar.finish()]).create(spec).await.expect_err("refused");
            assert!(error.to_string().contains(reason), "{target}: {error}");
        }
    });
}

#[test]
fn nothing_of_the_host_comes_with_a_mount() {
    as_everybody("sandbox::mounts::nothing_of_the_host_comes_with_a_mount", async |who| {
        let setup = Setup::new();
        let shared = directory(&setup, "shared");
        let script = "while read -r _ _ _ _ point flags _; do [ $point = /mnt ] && echo $flags; done < /proc/self/mountinfo; \
                      umount /mnt 2>/dev/null && echo unmounted; mount -o remount,suid,dev,rw /mnt 2>/dev/null && echo remounted; \
                      touch /mnt/x 2>/dev/null && echo wrote; true";
        for user in ["0", "app"] {
            let (lines, _) = run(&setup, Vec::new(), script, user, vec![mount(&shared, "/mnt", true)]).await;
            let flags: Vec<&str> = lines[0].split(',').collect();
            for flag in ["ro", "nosuid", "nodev"] {
                assert!(flags.contains(&flag), "{who:?}: {lines:?}");
            }
            assert_eq!(lines.len(), 1, "{who:?} {user}: {lines:?}");
        }
        let device = ContainerSpec {
            mounts: vec![mount(Path::new("/dev/null"), "/place", true)],
            ..setup.spec("true")
        };
        let error = setup.engine(Vec::new()).create(device).await.expect_err("refused");
        assert!(error.to_string().contains("it is a device"), "{error}");
        // Paths that the user who started b2i may not enter.
        let hidden = setup.root().join("hidden");
        std::fs::create_dir(&hidden).expect("made");
        std::fs::create_dir(hidden.join("below")).expect("made");
        std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o000)).expect("mode");
        let spec =
            ContainerSpec { mounts: vec![mount(&hidden.join("below"), "/mnt", true)], ..setup.spec("true") };
        let created = setup.engine(Vec::new()).create(spec).await;
        assert_eq!(created.is_ok(), matches!(who, Who::Root | Who::Bare), "{who:?}");
        if let Ok(container) = created {
            container.remove().await.expect("removed");
        }
        std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o755)).expect("mode");
    });
}

#[test]
fn a_temporary_directory_takes_uploads_and_goes_with_the_container() {
    as_everybody(
        "sandbox::mounts::a_temporary_directory_takes_uploads_and_goes_with_the_container",
        async |_| {
            let setup = Setup::new();
            let temporary = |target: &str| Mount {
                source: MountSource::Temporary,
                target: path(target),
                read_only: false,
            };
            let spec = ContainerSpec {
                mounts: vec![temporary("/var/one"), temporary("/home/app")],
                ..setup.spec("cat /var/one/in; ls -A /home/app; echo more > /var/one/out; touch /tmp/end")
            };
            let container = setup.engine(Vec::new()).create(spec).await.expect("created");
            let tar = Tar::new().directory("var/one", 0o755, (1001, 0)).file(
                "var/one/in",
                0o600,
                (1001, 0),
                "uploaded\n",
            );
            let stream = futures_util::stream::iter([Ok(tar.finish().into())]).boxed();
            container.upload(&path("/"), stream).await.expect("uploaded");
            assert!(container.has(&path("/var/one/in")).await.expect("looked"));
            let before = setup.lines().len();
            let ended = container.run(&setup.events()).await.expect("ran");
            let lines = setup.lines().split_off(before);
            assert_eq!(
                (ended.exit_code, &*lines),
                (0, &["uploaded".to_owned()][..]),
                "{:?}",
                ended.last_lines
            );
            let left = container.download(&path("/var/one/out"), 100).await.expect("read");
            assert_eq!(left.as_deref(), Some(&b"more\n"[..]));
            let changes = changes_of(&container.take_changes(&setup.events()).await.expect("taken"));
            assert_eq!(changes.keys().map(String::as_str).collect::<Vec<_>>(), ["tmp", "tmp/end"]);
            container.remove().await.expect("removed");
        },
    );
}

#[test]
fn a_build_cache_keeps_files_of_the_same_ids() {
    as_everybody("sandbox::mounts::a_build_cache_keeps_files_of_the_same_ids", async |who| {
        let setup = Setup::new();
        let tree = setup.settings.cache.root().join("kept");
        std::fs::create_dir(&tree).expect("made");
        let cache = || Mount {
            source: MountSource::BuildCache(tree.clone()),
            target: path("/opt/cache"),
            read_only: false,
        };
        let (_, changes) = run(
            &setup,
            Vec::new(),
            "mkdir /opt/cache/deep; echo kept > /opt/cache/deep/file; chmod 600 /opt/cache/deep/file",
            "app",
            vec![cache()],
        )
        .await;
        assert_eq!(changes.len(), 0, "{changes:?}");
        let script = "cat /opt/cache/deep/file; stat -c %u:%g:%a /opt/cache/deep/file; stat -c %u /opt/cache";
        let (lines, _) = run(&setup, Vec::new(), script, "app", vec![cache()]).await;
        assert_eq!(lines, ["kept", "1001:0:600", "1001"], "{who:?}");
        assert_eq!(warnings(&setup), Vec::<String>::new());
    });
}

#[test]
fn the_cache_is_refused_under_another_name() {
    as_everybody("sandbox::mounts::the_cache_is_refused_under_another_name", async |who| {
        if who != super::Who::Root {
            return;
        }
        let setup = Setup::new();
        let cache = setup.settings.cache.root().to_owned();
        let elsewhere = directory(&setup, "elsewhere");
        for part in [cache.clone(), cache.join("leases"), cache.parent().expect("has one").to_owned()] {
            let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
                let ended = std::process::Command::new(program).args(arguments).status().expect("starts");
                assert!(ended.success(), "{program} {arguments:?}");
            };
            run("mount", &["--bind".as_ref(), part.as_os_str(), elsewhere.as_os_str()]);
            let mut spec = setup.spec("true");
            spec.mounts = vec![mount(&elsewhere, "/mnt", false)];
            let created = setup.engine(Vec::new()).create(spec).await.map(drop);
            run("umount", &[elsewhere.as_os_str()]);
            let error = created.expect_err("it is the cache");
            assert!(error.to_string().contains("b2i's own cache"), "{}: {error}", part.display());
        }
    });
}
