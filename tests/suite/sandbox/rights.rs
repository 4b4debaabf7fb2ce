//! Capabilities that are taken away: the command of root has the rest, and nobody gets one back.

use b2i::engine::ContainerSpec;

use super::{Setup, as_everybody};

const SETS: &str = "while read -r key value; do case $key in CapBnd:|CapEff:|CapPrm:) echo $value;; esac; \
                    done < /proc/self/status";

#[test]
fn dropped_capabilities_are_in_no_set() {
    as_everybody("sandbox::rights::dropped_capabilities_are_in_no_set", async |who| {
        let setup = Setup::new();
        for (dropped, left) in [
            (&[][..], "00000000000000fb"),
            (&["NET_RAW"], "00000000000000fb"),
            (&["chown", "CAP_SETUID"], "000000000000007a"),
            (&["ALL"], "0000000000000000"),
        ] {
            for user in ["0", "app"] {
                let drop_capabilities = dropped.iter().map(|name| name.parse().expect("known")).collect();
                let spec = ContainerSpec { user: Some(user.into()), drop_capabilities, ..setup.spec(SETS) };
                let (_, lines) = setup.run_spec(spec).await.expect("ran");
                let own = if user == "0" { left } else { "0000000000000000" };
                // In the order of the file: permitted, effective, bounding.
                assert_eq!(lines, [own, own, left], "{who:?} {user} {dropped:?}");
            }
        }
    });
}

#[test]
fn without_the_capability_the_deed_is_refused() {
    as_everybody("sandbox::rights::without_the_capability_the_deed_is_refused", async |who| {
        let setup = Setup::new();
        let script =
            "cat /home/app/old >/dev/null 2>&1 && echo read; chmod 700 /home/app 2>/dev/null && echo mode";
        let run = async |dropped: &str| {
            let spec = ContainerSpec {
                user: Some("0".into()),
                drop_capabilities: vec![dropped.parse().expect("known")],
                ..setup.spec(script)
            };
            setup.run_spec(spec).await.expect("ran").1
        };
        assert_eq!(run("NET_RAW").await, ["read", "mode"], "{who:?}");
        // With one mapped id, the files of everybody are the user's own.
        let refused: &[&str] = if who == super::Who::Single { &["read", "mode"] } else { &[] };
        assert_eq!(run("ALL").await, refused, "{who:?}");
    });
}
