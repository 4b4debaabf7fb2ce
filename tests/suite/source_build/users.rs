//! Allowed users: of `assemble`, of the image, by flag, label and name.

use super::{Image, Sources, b2i_build, everywhere};

#[test]
fn only_allowed_users_run_and_start() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .");
    everywhere("s2i-foreign:root-user", |place, builder| {
        for arguments in [&["--allowed-uids", "1-"][..], &["--allowed-uids", "1-", "--assemble-user", "1001"]]
        {
            let mut command = b2i_build(place, builder, &sources).args(arguments);
            let output = command.run();
            assert_eq!(output.code, Some(5), "{} {arguments:?}: {}", place.name(), output.stderr);
            assert!(output.stderr.contains("`root`; allowed users: 1-"), "{}", output.stderr);
        }
    });
    everywhere("s2i-kubesphere:1", |place, builder| {
        Image::build(place, builder, &sources, &["--allowed-uids", "5,1000-"]);
        let mut command =
            b2i_build(place, builder, &sources).args(["--allowed-uids", "1-", "--assemble-user", "0"]);
        assert_eq!(command.run().code, Some(5), "{}", place.name());
    });
}
