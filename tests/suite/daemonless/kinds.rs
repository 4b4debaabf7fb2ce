//! Every kind of artifact, built and pushed without a daemon: Docker and Podman pull and start it, and it is what
//! `--assemble docker` makes.

use super::*;
use crate::build::Image;
use crate::build::kinds::{Case, Runs};
use crate::build::tree::{assert_same_config, assert_same_tree};

/// Builds without a daemon and pushes, pulls, compares and asks.
fn goes_by_the_registry(case: &Case, base: Option<&'static str>) {
    let base = base.map(PushedBase::new);
    let with_base = |command| match &base {
        Some(base) => base.replaces_public(command),
        None => command,
    };
    let name = result_name("kind");
    let mut command = with_base(B2iCommand::without_daemon())
        .args(["build", "--push", "--tag", &name])
        .args(case.arguments("daemonless"));
    let output = command.run();
    let digest = printed_digest(&output, &name);
    assert_clean(&command.cache());
    assert_eq!(manifest_digest(&format!("docker://{name}")), digest);
    for daemon in TestEnvironment::get().daemons() {
        let pulled = Image::pull(&daemon, &name);
        case.ask(&pulled, (&[], &[]), &["--print", "default", "a b"]);
        if case.runs != Runs::Tomcat {
            case.ask(&pulled, (&["-e", "ARGS=--print"], &["$(id)"]), &["--print", "$(id)"]);
        }
        if daemon.name != "docker" {
            continue;
        }
        case.confined(&pulled);
        if let Some(base) = &base {
            daemon.stdout(&["pull", &base.name]);
        }
        let own = case.arguments("daemonless");
        let mut arguments = vec!["--assemble", "docker"];
        arguments.extend(own.iter().map(String::as_str));
        let assembled = Image::build_by(with_base(B2iCommand::new()).daemon(&daemon), &daemon, &arguments);
        assert_same_config(&pulled, &assembled);
        if case.compared {
            assert_same_tree(&pulled, &assembled);
        }
    }
}

#[test]
fn a_static_executable() {
    let case = Case::of(Runs::Native, "program", "binary:static").showing("built", "static").compared();
    goes_by_the_registry(&case, None);
}

#[test]
fn an_executable_for_glibc() {
    let case = Case::of(Runs::Native, "program-glibc", "binary:debian").showing("built", "glibc").compared();
    goes_by_the_registry(&case, Some("glibc:12"));
}

#[test]
fn a_jar_with_added_libraries() {
    let case = Case::of(Runs::Java, "app/app.jar", "java:8").showing("beside", "from the file beside");
    let case = Case { added: &["app/lib/", "app/application.properties"], ..case };
    goes_by_the_registry(&case.compared(), Some("jre:17"));
}

#[test]
fn a_self_executing_jar() {
    let case = Case::of(Runs::Java, "executable.jar", "java:8").showing("greeting", "hello b2i");
    goes_by_the_registry(&case, Some("jre:17"));
}

#[test]
fn a_javax_war() {
    let case = Case::of(Runs::Tomcat, "shop-javax.war", "tomcat:9-jre8").showing("greeting", "javax.servlet");
    goes_by_the_registry(&case.compared(), Some("tomcat:9"));
}

#[test]
fn a_jakarta_war() {
    let case = Case::of(Runs::Tomcat, "shop-jakarta.war", "tomcat:10.1-jre11")
        .showing("greeting", "jakarta.servlet");
    goes_by_the_registry(&case, Some("tomcat:10"));
}

#[test]
fn a_file_that_is_added_to_tmp_leaves_tmp_to_everybody() {
    let base = PushedBase::new("glibc:12");
    let name = result_name("tmp");
    let artifact = crate::build::fixture("program-glibc");
    let added = format!("{}:/tmp/seed", crate::build::fixture("shell-program"));
    let command = base.replaces_public(B2iCommand::without_daemon());
    let output = command.args(["build", "--push", "--tag", &name, &artifact, "--add", &added]).run();
    printed_digest(&output, &name);
    for daemon in TestEnvironment::get().daemons() {
        let pulled = Image::pull(&daemon, &name);
        let listed =
            pulled.print(&["--entrypoint", "/usr/bin/stat"], &["-c", "%a %u:%g", "/tmp", "/tmp/seed"]);
        assert_eq!(listed, "1777 0:0\n755 0:0\n", "{}", daemon.name);
    }
}
