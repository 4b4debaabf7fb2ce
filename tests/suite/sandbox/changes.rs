//! What a command changed, as a layer.

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::engine::{ContainerSpec, Engine};

use super::escapes::program;
use super::{Setup, Tar, Who, as_everybody, found};

#[test]
fn owners_modes_and_links_are_those_seen_inside() {
    as_everybody("sandbox::changes::owners_modes_and_links_are_those_seen_inside", async |who| {
        let setup = Setup::new();
        let script = "umask 022; mkdir -p out/deep; echo a > out/a; chmod 4750 out/a; ln out/a out/b; ln -s a out/c; \
                      echo hidden > out/deep/d; chmod 000 out/deep/d; chmod 0500 out/deep; touch out/'a name ü'";
        let found = setup.change(Vec::new(), &format!("cd /tmp; {script}"), "app").await;
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let expected = ["tmp/out", "tmp/out/a", "tmp/out/a name ü", "tmp/out/b", "tmp/out/c", "tmp/out/deep"];
        assert_eq!(names[1..7], expected, "{who:?}");
        // What leads to a change is as it was; without its entry Docker would make another.
        assert_eq!((names[0], found["tmp"].mode, found["tmp"].owner), ("tmp", 0o1777, (0, 0)), "{who:?}");
        assert!(names.contains(&"tmp/out/deep/d") && names.contains(&"work/place"), "{names:?}");
        for name in expected {
            assert_eq!(found[name].owner, (1001, 0), "{who:?} {name}");
        }
        assert_eq!((found["tmp/out/a"].mode, &*found["tmp/out/a"].text), (0o4750, "a\n"));
        assert_eq!((found["tmp/out/b"].kind, &*found["tmp/out/b"].text), ('1', "tmp/out/a"));
        assert_eq!((found["tmp/out/c"].kind, &*found["tmp/out/c"].text), ('2', "a"));
        assert_eq!((found["tmp/out/deep"].kind, found["tmp/out/deep"].mode), ('5', 0o500));
        assert_eq!((found["tmp/out/deep/d"].mode, &*found["tmp/out/deep/d"].text), (0, "hidden\n"));
        // What is only in the room is nobody's change.
        assert!(!names.iter().any(|name| name.starts_with("dev") || name.starts_with("proc")), "{names:?}");
        assert_eq!(found["work/place"].owner, (0, 0));
    });
}

#[test]
fn root_gives_files_to_anybody() {
    as_everybody("sandbox::changes::root_gives_files_to_anybody", async |who| {
        let setup = Setup::new();
        let script = "mkdir /new; echo x > /new/file; chown 1001:77 /new/file && chown -h 12:13 /bin/true && \
                      chown 5 /home && chmod 700 /new";
        if who == Who::Single {
            let (ended, _) = setup.run(script, "0").await;
            assert_ne!(ended.exit_code, 0, "one id cannot give files away, and the script has to know");
            return;
        }
        let found = setup.change(Vec::new(), script, "0").await;
        assert_eq!(found["new/file"].owner, (1001, 77));
        assert_eq!((found["new"].owner, found["new"].mode), ((0, 0), 0o700));
        assert_eq!((found["bin/true"].owner, found["bin/true"].kind), ((12, 13), '2'));
        assert_eq!(found["home"].owner, (5, 0));
        assert_eq!((found["bin"].owner, found["bin"].mode), ((0, 0), 0o755));
    });
}

#[test]
fn what_is_removed_is_told_to_be_gone() {
    as_everybody("sandbox::changes::what_is_removed_is_told_to_be_gone", async |who| {
        let setup = Setup::new();
        let layers = || {
            vec![
                Tar::new()
                    .directory("data", 0o755, (0, 0))
                    .directory("data/old", 0o755, (0, 0))
                    .file("data/old/a", 0o644, (0, 0), "a")
                    .file("data/b", 0o644, (0, 0), "b")
                    .directory("data/kind", 0o755, (0, 0))
                    .file("data/kind/x", 0o644, (0, 0), "x")
                    .finish(),
            ]
        };
        let script = "cd /data; rm b; rm -r old; mkdir old; echo new > old/c; rm -r kind; echo file > kind; \
                      echo short > lived; rm lived; mkdir fresh; echo y > fresh/y";
        let found = setup.change(layers(), script, "0").await;
        let mut names: Vec<&str> = found.keys().map(String::as_str).collect();
        names.retain(|name| name.starts_with("data"));
        let expected = [
            "data",
            "data/.wh.b",
            "data/fresh",
            "data/fresh/y",
            "data/kind",
            "data/old",
            "data/old/.wh..wh..opq",
            "data/old/c",
        ];
        assert_eq!(names, expected, "{who:?}");
        assert_eq!((found["data/kind"].kind, &*found["data/kind"].text), ('0', "file\n"));
        // Written and unpacked again, the layer shows what the container showed.
        let spec = ContainerSpec { user: Some("0".into()), ..setup.spec(script) };
        let container = setup.engine(layers()).create(spec).await.expect("created");
        container.run(&setup.events()).await.expect("ran");
        let b2i::engine::Diff::Layer(layer) = container.take_changes(&setup.events()).await.expect("taken")
        else {
            panic!("the sandbox makes layers");
        };
        container.remove().await.expect("removed");
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).expect("readable after the container has gone");
        drop(layer);
        let mut all = layers();
        all.push(bytes);
        let again =
            setup.engine(all).create(setup.spec("cd /data; find . | grep -v '^.$'")).await.expect("created");
        let before = setup.lines().len();
        again.run(&setup.events()).await.expect("ran");
        again.remove().await.expect("removed");
        let mut lines = setup.lines().split_off(before);
        lines.sort();
        assert_eq!(lines, ["./fresh", "./fresh/y", "./kind", "./old", "./old/c"]);
    });
}

#[test]
fn a_changed_file_keeps_its_owner() {
    as_everybody("sandbox::changes::a_changed_file_keeps_its_owner", async |_| {
        let setup = Setup::new();
        let found = setup
            .change(Vec::new(), "echo x:x:9:9::/:/bin/sh >> /etc/passwd; echo 1 >> /home/app/old", "0")
            .await;
        assert_eq!((found["etc/passwd"].owner, found["etc/passwd"].mode), ((0, 0), 0o644));
        assert_eq!((found["home/app/old"].owner, found["home/app/old"].mode), ((1001, 0), 0o640));
        assert_eq!(found["home/app/old"].text, "old\n1\n");
        assert_eq!((found["home/app"].owner, found["home/app"].mode), ((1001, 0), 0o700));
    });
}

#[test]
fn equal_runs_give_equal_layers() {
    as_everybody("sandbox::changes::equal_runs_give_equal_layers", async |_| {
        let script = "cd /tmp; for i in $(seq 1 40); do echo $i > f$i; ln f$i g$i; done; mkdir d; touch d/e";
        let mut all = Vec::new();
        for _ in 0..2 {
            let setup = Setup::new();
            let container = setup.engine(Vec::new()).create(setup.spec(script)).await.expect("created");
            container.run(&setup.events()).await.expect("ran");
            let changes = container.take_changes(&setup.events()).await.expect("taken");
            container.remove().await.expect("removed");
            let b2i::engine::Diff::Layer(layer) = &changes else { panic!("the sandbox makes layers") };
            all.push(layer.write_to(std::io::sink()).expect("written").diff_id);
            assert_eq!(found(&changes)["tmp/g1"].kind, '1');
        }
        assert_eq!(all[0], all[1]);
    });
}

#[test]
fn what_no_layer_can_have_is_an_error_or_a_note() {
    as_everybody("sandbox::changes::what_no_layer_can_have_is_an_error_or_a_note", async |_| {
        let setup = Setup::new();
        for script in ["echo > /tmp/.wh.etc", "echo > \"/tmp/$(printf 'a\\377')\""] {
            let container = setup.engine(Vec::new()).create(setup.spec(script)).await.expect("created");
            assert_eq!(container.run(&setup.events()).await.expect("ran").exit_code, 0, "{script}");
            let error = container.take_changes(&setup.events()).await.expect_err("refused");
            assert_eq!(error.kind(), FailureKind::Assemble, "{error}");
            assert!(error.to_string().contains("/tmp/"), "{error}");
            container.remove().await.expect("removed");
        }
        let script = format!("try {} -100 /tmp/socket 0140644 0; echo > /tmp/file", libc::SYS_mknodat);
        let found = setup.change(vec![program("bin/try", 0o755)], &script, "app").await;
        assert!(found.contains_key("tmp/file") && !found.contains_key("tmp/socket"));
        assert!(setup.notes().iter().any(|note| note.contains("/tmp/socket")), "{:?}", setup.notes());
    });
}
