//! What names are looked up in: the hosts file of every container, and with the host's network the host's settings.

use b2i::engine::{ContainerSpec, Engine};

use super::{Setup, Tar, as_everybody, found};

#[test]
fn added_hosts_are_known_for_the_run_alone() {
    as_everybody("sandbox::names::added_hosts_are_known_for_the_run_alone", async |who| {
        let setup = Setup::new();
        let of_image = || Tar::new().file("etc/hosts", 0o644, (0, 0), "10.9.9.9\told\n").finish();
        let linked = || Tar::new().link("etc/hosts", "../run/names/hosts").finish();
        for (layers, what) in
            [(Vec::new(), "no file"), (vec![of_image()], "a file"), (vec![linked()], "a link to nothing")]
        {
            let spec = ContainerSpec {
                user: Some("0".into()),
                add_hosts: vec!["db.example:10.0.0.1".into(), "six:::1".into()],
                ..setup.spec("cat /etc/hosts; echo 10.1.1.1 own >> /etc/hosts; [ -L /etc/hosts ] || rm /etc/hosts 2>/dev/null; touch /tmp/end")
            };
            let container = setup.engine(layers).create(spec).await.expect("created");
            let before = setup.lines().len();
            container.run(&setup.events()).await.expect("ran");
            let lines = setup.lines().split_off(before);
            let changes = found(&container.take_changes(&setup.events()).await.expect("taken"));
            container.remove().await.expect("removed");
            let expected = [
                "127.0.0.1\tlocalhost sandbox",
                "::1\tlocalhost ip6-localhost ip6-loopback",
                "10.0.0.1\tdb.example",
                "::1\tsix",
            ];
            assert_eq!(lines, expected, "{who:?}, {what}");
            let paths: Vec<&str> = changes.keys().map(String::as_str).collect();
            assert_eq!(paths, ["tmp", "tmp/end", "work", "work/place"], "{who:?}, {what}");
        }
    });
}

#[test]
fn with_the_hosts_network_its_names_are_known_too() {
    as_everybody("sandbox::names::with_the_hosts_network_its_names_are_known_too", async |who| {
        let setup = Setup::new();
        let spec = ContainerSpec {
            network: Some("host".into()),
            add_hosts: vec!["me:host-gateway".into()],
            ..setup.spec("cat /etc/hosts; echo --; cat /etc/resolv.conf")
        };
        let (_, lines) = setup.run_spec(spec).await.expect("ran");
        let text = lines.join("\n");
        let (hosts, resolver) = text.split_once("\n--\n").expect("both");
        let read = |path: &str| std::fs::read_to_string(path).expect("the machine has it");
        assert_eq!(hosts, format!("{}\n127.0.0.1\tme", read("/etc/hosts").trim_end()), "{who:?}");
        assert_eq!(resolver, read("/etc/resolv.conf").trim_end(), "{who:?}");
    });
}

#[test]
fn a_host_that_is_none_is_an_error() {
    as_everybody("sandbox::names::a_host_that_is_none_is_an_error", async |_| {
        let setup = Setup::new();
        for text in ["db", "db:somewhere", "db:host-gateway"] {
            let spec = ContainerSpec { add_hosts: vec![text.into()], ..setup.spec("true") };
            let error = setup.engine(Vec::new()).create(spec).await.expect_err("refused");
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    });
}
