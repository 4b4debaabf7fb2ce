//! Layers in the cache: what hostile archives try, and what many users share.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::engine::sandbox::{SandboxEngine, SandboxError, remove_pruned};
use b2i::engine::{Engine, EngineError};
use b2i::image::Digest;

use super::{Setup, Tar, Tarball, Who, as_everybody, image};

/// Runs a script on these layers above the base.
async fn lines_on(setup: &Setup, layers: Vec<Vec<u8>>, script: &str) -> Vec<String> {
    let mut spec = setup.spec(script);
    spec.user = Some("0".into());
    let container = setup.engine(layers).create(spec).await.expect("created");
    let before = setup.lines().len();
    container.run(&setup.events()).await.expect("ran");
    container.remove().await.expect("removed");
    setup.lines().split_off(before)
}

#[test]
fn layers_lie_on_each_other_as_their_whiteouts_say() {
    as_everybody("sandbox::layers::layers_lie_on_each_other_as_their_whiteouts_say", async |who| {
        let setup = Setup::new();
        let lower = Tar::new()
            .directory("d", 0o755, (0, 0))
            .file("d/gone", 0o644, (0, 0), "gone")
            .file("d/kept", 0o644, (0, 0), "kept")
            .directory("hidden", 0o755, (0, 0))
            .file("hidden/below", 0o644, (0, 0), "below")
            .directory("replaced", 0o755, (0, 0))
            .file("replaced/below", 0o644, (0, 0), "below");
        let upper = Tar::new()
            .file("d/.wh.gone", 0o644, (0, 0), "")
            .file("d/.wh.never", 0o644, (0, 0), "")
            .file("hidden/.wh..wh..opq", 0o644, (0, 0), "")
            .file("hidden/.wh..wh.plnk", 0o644, (0, 0), "")
            .file("hidden/new", 0o4755, (1001, 77), "new")
            .add(tar::EntryType::Link, "hidden/second", 0o755, (0, 0), "hidden/new")
            .file(".wh.replaced", 0o644, (0, 0), "")
            .directory("replaced", 0o755, (0, 0))
            .directory("sub/made/without/parents", 0o711, (0, 0));
        let script =
            "ls -A d hidden replaced; stat -c %a:%h:%Y hidden/new; stat -c %a sub sub/made/without/parents";
        let lines = lines_on(&setup, vec![lower.finish(), upper.finish()], &format!("cd /; {script}")).await;
        let expected = [
            "d:",
            "kept",
            "",
            "hidden:",
            "new",
            "second",
            "",
            "replaced:",
            "4755:2:1000000000",
            "755",
            "711",
        ];
        assert_eq!(lines, expected, "{who:?}");
        if who != Who::Single {
            assert_eq!(setup.run("true", "0").await.0.exit_code, 0);
        }
    });
}

#[test]
fn nothing_of_a_layer_gets_out_of_its_directory() {
    as_everybody("sandbox::layers::nothing_of_a_layer_gets_out_of_its_directory", async |_| {
        let setup = Setup::new();
        let outside = setup.root().join("outside");
        std::fs::create_dir(&outside).expect("made");
        std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o777)).expect("mode");
        let target = outside.to_str().expect("text");
        let inner = target.trim_start_matches('/');
        let up = "../".repeat(12);
        // A link to a directory of the host, and a file through it: inside, that is a place of its own.
        let through = Tar::new()
            .directory(inner, 0o755, (0, 0))
            .link("link", target)
            .file("link/through", 0o644, (0, 0), "x")
            .link("up", &up)
            .file(&format!("up/{inner}/through-up"), 0o644, (0, 0), "x")
            .link("file", &format!("{target}/written"))
            .file("file", 0o644, (0, 0), "replaces the link")
            .file(&format!("/{inner}/absolute"), 0o644, (0, 0), "x");
        let lines = lines_on(&setup, vec![through.finish()], &format!("ls {target}; cat /file")).await;
        assert_eq!(lines, ["absolute", "through", "through-up", "replaces the link"]);
        let hostile = [
            Tar::new().file("../up", 0o644, (0, 0), "x"),
            Tar::new().file("a/../../up", 0o644, (0, 0), "x"),
            Tar::new().add(tar::EntryType::Link, "hard", 0o644, (0, 0), "../../../etc/passwd"),
            Tar::new().add(tar::EntryType::Link, "hard", 0o644, (0, 0), "/etc/hostname"),
            Tar::new().link("dangling", &format!("{target}/none")).file("dangling/x", 0o644, (0, 0), "x"),
            Tar::new().file("file", 0o644, (0, 0), "x").file("file/below", 0o644, (0, 0), "x"),
            Tar::new().file(".wh...", 0o644, (0, 0), ""),
            Tar::new().file("", 0o644, (0, 0), "the root is a file"),
        ];
        for tar in hostile {
            let error =
                setup.engine(vec![tar.finish()]).create(setup.spec("true")).await.expect_err("refused");
            assert_eq!(error.kind(), FailureKind::Builder, "{error}");
        }
        assert_eq!(std::fs::read_dir(&outside).expect("lists").count(), 0, "a layer wrote outside");
        assert_eq!(setup.temporary_files(), Vec::<std::path::PathBuf>::new());
    });
}

#[test]
fn attributes_of_overlayfs_and_devices_in_layers_mean_nothing() {
    as_everybody(
        "sandbox::layers::attributes_of_overlayfs_and_devices_in_layers_mean_nothing",
        async |who| {
            let setup = Setup::new();
            let lower = Tar::new().directory("d", 0o755, (0, 0)).file("d/below", 0o644, (0, 0), "below");
            let upper = Tar::new()
                .attributes(&[
                    ("user.overlay.opaque", b"y"),
                    ("trusted.overlay.opaque", b"y"),
                    ("user.overlay.redirect", b"/etc"),
                    ("user.b2i.owner", b"0:0"),
                    ("user.kept", b"value"),
                ])
                .directory("d", 0o755, (1001, 0))
                .add(tar::EntryType::Char, "d/null", 0o666, (0, 0), "")
                .add(tar::EntryType::Block, "d/disk", 0o666, (0, 0), "")
                .add(tar::EntryType::Char, "bin", 0o666, (0, 0), "");
            let lines =
                lines_on(&setup, vec![lower.finish(), upper.finish()], "ls /d; stat -c %u /d; ls /bin/sh")
                    .await;
            let owner = if who == Who::Single { "0" } else { "1001" };
            assert_eq!(lines, ["below", owner, "/bin/sh"]);
            let notes = setup.notes();
            assert_eq!(notes.iter().filter(|note| note.contains("device")).count(), 3, "{notes:?}");
        },
    );
}

#[test]
fn a_layer_is_unpacked_once_and_shared() {
    as_everybody("sandbox::layers::a_layer_is_unpacked_once_and_shared", async |_| {
        let setup = Setup::new();
        let bytes = Tar::new().directory("d", 0o755, (0, 0)).file("d/f", 0o644, (0, 0), "f").finish();
        let (diff_id, tarball) = Tarball::layer(bytes);
        let engine = || {
            let image = image("counted", "{}", vec![(diff_id, tarball.clone())]);
            SandboxEngine::new(setup.settings.clone(), image, setup.events())
        };
        let engines: Vec<_> = (0..4).map(|_| engine()).collect();
        let specs = engines.iter().map(|engine| engine.create(setup.spec("")));
        for container in futures_util::future::join_all(specs).await {
            let container = container.expect("created");
            assert!(container.has(&super::path("/d/f")).await.expect("looked"));
            container.remove().await.expect("removed");
        }
        assert_eq!(tarball.opened.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn wrong_and_cut_layers_leave_nothing() {
    as_everybody("sandbox::layers::wrong_and_cut_layers_leave_nothing", async |_| {
        let setup = Setup::new();
        let good =
            Tar::new().directory("d", 0o755, (7, 7)).file("d/f", 0o600, (7, 7), &"f".repeat(5000)).finish();
        let other = Digest::of(b"other");
        let cut = good[..3000].to_vec();
        for (bytes, diff_id) in [(good.clone(), other), (cut, Digest::of(&good)), (b"no tar".to_vec(), other)]
        {
            let image = image("wrong", "{}", vec![(diff_id, Tarball::new(bytes))]);
            let engine = SandboxEngine::new(setup.settings.clone(), image, setup.events());
            let error = engine.create(setup.spec("")).await.expect_err("refused");
            assert!(
                matches!(
                    error,
                    EngineError::Sandbox(SandboxError::WrongLayer { .. } | SandboxError::Unpack { .. })
                ),
                "{error}"
            );
            let cache = setup.settings.cache.root().join("layers-v1");
            let kept = std::fs::read_dir(cache).expect("lists").flatten();
            let kept: Vec<_> = kept.filter(|entry| entry.path().is_dir()).collect();
            assert!(kept.is_empty(), "{kept:?}");
            assert_eq!(setup.temporary_files(), Vec::<std::path::PathBuf>::new());
        }
    });
}

#[test]
fn pruned_layers_are_unpacked_again_however_little_was_removed() {
    as_everybody(
        "sandbox::layers::pruned_layers_are_unpacked_again_however_little_was_removed",
        async |_| {
            let setup = Setup::new();
            let layers = || {
                let tar = Tar::new().directory("d", 0o700, (7, 7)).file("d/f", 0o600, (7, 7), "f").directory(
                    "d/e",
                    0o500,
                    (8, 8),
                );
                vec![tar.file("d/e/g", 0o400, (8, 8), "g").finish()]
            };
            assert_eq!(lines_on(&setup, layers(), "cat /d/f /d/e/g").await, ["fg"]);
            let used = setup.engine(layers()).create(setup.spec("")).await.expect("created");
            let kept = b2i::store::cache::prune(&setup.settings.cache, 0, Vec::new(), &mut |_| false)
                .expect("pruned");
            assert!(kept.in_use >= 2, "{kept:?}");
            used.remove().await.expect("removed");
            // Of what belongs to other ids, b2i's user can remove only some.
            b2i::store::cache::prune(&setup.settings.cache, 0, Vec::new(), &mut |_| false).expect("pruned");
            assert_eq!(lines_on(&setup, layers(), "cat /d/f /d/e/g").await, ["fg"]);
            b2i::store::cache::prune(&setup.settings.cache, 0, Vec::new(), &mut |_| false).expect("pruned");
            remove_pruned(&setup.settings.program, &setup.settings.cache).expect("removed");
            let left =
                std::fs::read_dir(setup.settings.cache.root().join("layers-v1")).expect("lists").flatten();
            let left: Vec<_> = left.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
            assert!(left.is_empty(), "{left:?}");
        },
    );
}

#[test]
fn headers_without_end_are_refused_before_they_are_in_memory() {
    as_everybody("sandbox::layers::headers_without_end_are_refused_before_they_are_in_memory", async |_| {
        let setup = Setup::new();
        let text = "n".repeat(40 << 20);
        for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
            let layer =
                || Tar::new().add(kind, "x", 0o644, (0, 0), &text).file("a", 0o644, (0, 0), "").finish();
            let error = setup.engine(vec![layer()]).create(setup.spec("true")).await.expect_err("refused");
            assert!(error.to_string().contains("a header of more than 1 MiB"), "{kind:?}: {error}");
            assert_eq!(error.kind(), FailureKind::Builder);
            // Files for a container come in the same way.
            let container = setup.engine(Vec::new()).create(setup.spec("true")).await.expect("created");
            let bytes = layer().into();
            let stream = Box::pin(futures_util::stream::once(async { Ok(bytes) }));
            let error = container.upload(&super::path("/tmp"), stream).await.expect_err("refused");
            assert!(error.to_string().contains("a header of more than 1 MiB"), "{kind:?}: {error}");
            container.remove().await.expect("removed");
        }
    });
}

#[test]
fn a_place_that_the_image_spoils_is_the_images_fault() {
    as_everybody("sandbox::layers::a_place_that_the_image_spoils_is_the_images_fault", async |_| {
        let setup = Setup::new();
        let nowhere =
            |name: &str, target: &str| Tar::new().add(tar::EntryType::Symlink, name, 0o777, (0, 0), target);
        for (layer, place) in [
            (nowhere("spoilt", "/no/where"), "/spoilt"),
            (nowhere("spoilt", "spoilt"), "/spoilt"),
            (Tar::new().file("spoilt", 0o644, (0, 0), ""), "/spoilt"),
        ] {
            let container =
                setup.engine(vec![layer.finish()]).create(setup.spec("true")).await.expect("created");
            let bytes = Tar::new().file("a", 0o644, (0, 0), "").finish().into();
            let stream = Box::pin(futures_util::stream::once(async { Ok(bytes) }));
            let error = container.upload(&super::path(place), stream).await.expect_err("spoilt");
            assert_eq!(error.kind(), FailureKind::Builder, "{error}");
            // The place is made on the way.
            let bytes = Tar::new().file("spoilt/below/a", 0o644, (0, 0), "").finish().into();
            let stream = Box::pin(futures_util::stream::once(async { Ok(bytes) }));
            let error = container.upload(&super::path("/"), stream).await.expect_err("spoilt");
            assert_eq!(error.kind(), FailureKind::Builder, "{error}");
            container.remove().await.expect("removed");
        }
    });
}
