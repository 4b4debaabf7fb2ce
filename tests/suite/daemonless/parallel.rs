//! Many builds at once on one cache: all good, each with the digest that it has alone.

use super::*;
use crate::registry::noise;
use crate::soak::Soak;

#[test]
fn many_builds_on_one_cache() {
    let soak = Soak::of("cache", 0, 8);
    let base = PushedBase::new("glibc:12");
    let builder = PushedBase::new("s2i-kubesphere:1");
    let shared = tempfile::tempdir().expect("a temporary directory can be made");
    let program = std::fs::read(TestEnvironment::get().fixture("program-glibc")).expect("a fixture");
    let artifact = |number: u64| {
        let path = shared.path().join(format!("program-{number}"));
        std::fs::write(&path, [program.clone(), noise(soak.seed + number, 1 << 20)].concat())
            .expect("writes");
        path
    };
    // Of eight, four are the same, two are others, and two are assembled in the sandbox by their builder's script.
    let same = artifact(0);
    let builds: Vec<_> = (0..soak.count)
        .map(|number| match number % 8 {
            3 | 4 => (artifact(number), false),
            5 | 6 => (same.clone(), true),
            _ => (same.clone(), false),
        })
        .collect();
    let run = |cache: &Path, (path, in_sandbox): &(std::path::PathBuf, bool)| {
        let name = result_name("parallel");
        let command = base.replaces_public(B2iCommand::without_daemon());
        let command = command.env("XDG_CACHE_HOME", cache).args(["build", "--push", "--tag", &name]);
        let command = if *in_sandbox { command.args(["--builder", &builder.name]) } else { command };
        let output = command.arg(path).run();
        let digest = printed_digest(&output, &name);
        assert_eq!(manifest_digest(&format!("docker://{name}")), digest);
        (name, digest)
    };
    let cache = shared.path().join("cache");
    let together: Vec<(String, String)> = std::thread::scope(|scope| {
        let started: Vec<_> = builds.iter().map(|build| scope.spawn(|| run(&cache, build))).collect();
        started.into_iter().map(|run| run.join().expect("a build that is good")).collect()
    });
    assert_clean(&cache.join("b2i"));
    for (build, (name, digest)) in builds.iter().zip(&together) {
        if !build.1 {
            let alone = tempfile::tempdir().expect("a temporary directory can be made");
            assert_eq!(run(alone.path(), build).1, *digest, "alone and together");
        }
        let target = format!("dir:{}", shared.path().join("copy").display());
        skopeo(&["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{name}"), &target]);
    }
    let (_, (name, _)) = builds.iter().zip(&together).find(|(build, _)| !build.1).expect("one was placed");
    let report = report_of(&TestEnvironment::get().docker(), name, &["--print"]);
    assert!(report.contains("[\"--print\"]"), "{report}");
    soak.conclude("all were good at once, each with the digest that it has alone, and one was started");
}
