//! Finished artifacts: `buildah build` makes the files that b2i places.

use serde_json::json;

use super::{PushedBaseOf, Written};
use crate::build::tree::assert_same_tree;
use crate::build::{Image, asked, fixture, replace_bases_by};
use crate::environment::{B2iCommand, Buildah, TestEnvironment};

#[test]
fn buildah_makes_the_same_files() {
    let docker = TestEnvironment::get().docker();
    let (program, war) = (fixture("program"), fixture("shop-javax.war"));
    let beside = format!("{}:conf/app.properties", fixture("app/application.properties"));
    let cases: [(&'static str, Vec<&str>); 3] = [
        ("glibc:12", vec![&program, "--add", &beside, "--user", "1234:0", "--", "--print", "a b", "$(id)"]),
        ("glibc:12", vec![&program, "--builder", "binary:debian12", "--assemble", "docker"]),
        ("tomcat:9", vec![&war, "--context-path", "/shop"]),
    ];
    for (base, arguments) in cases {
        let local = |test: &str| Some(TestEnvironment::get().image(test));
        let command = replace_bases_by(B2iCommand::new(), local).daemon(&docker);
        let direct = Image::build_by(command, &docker, &arguments);
        let pushed = PushedBaseOf::new(base);
        // A script that runs stands on the daemon's base, which buildah does not have.
        let arguments: Vec<&str> =
            arguments.iter().map(|word| if *word == "docker" { "sandbox" } else { word }).collect();
        let written = Written::on_registry(&[&pushed], &arguments);
        let buildah = Buildah::new();
        buildah.build(&written.context(), &[]);
        let (daemon, image) = buildah.into_docker();
        let built = Image::adopt(&daemon, image);
        assert_same_tree(&built, &direct);
        for field in ["Cmd", "Entrypoint", "Env", "User", "WorkingDir"] {
            let config = |image: &Image| match image.inspect()["Config"][field].clone() {
                nothing if nothing == json!([]) => json!(null),
                value => value,
            };
            assert_eq!(config(&built), config(&direct), "{arguments:?}: {field}");
        }
        if base.starts_with("tomcat") {
            assert_eq!(asked(&built.serve(&[], &[]), "/shop/hello")["greeting"], "javax.servlet");
        } else {
            let report = |image: &Image| image.report(&["--hostname", "one"], &["more"]);
            assert_eq!(report(&built), report(&direct));
        }
    }
}
