//! The CI recipes in `examples/ci`: their own steps, taken out of the files, make and push a real image.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::environment::TestEnvironment;
use crate::registry::auth::Guarded;
use crate::registry::unique;

/// A checked-out project in which the artifact was built, as the recipe finds it.
struct Project {
    root: tempfile::TempDir,
    registry: Guarded,
}

impl Project {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let project = Self { root, registry: Guarded::start() };
        std::fs::create_dir_all(project.path("target")).expect("makes");
        let jar = TestEnvironment::get().fixture("standalone.jar");
        std::fs::copy(jar, project.path("target/app.jar")).expect("copies");
        let commit = "git init --quiet && git add . && \
            git -c user.name=A -c user.email=a@host.example commit --quiet --message first --date '2020-01-01T00:00:00Z'";
        ended(project.shell("sh", commit, &[("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")]));
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn shell(&self, shell: &str, script: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(shell)
            .args(["-e", "-c", script])
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.root.path().join("home"))
            // No daemon is there.
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env("B2I_CONFIG", self.path("config.toml"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the shell can be started")
    }

    /// The digest of an image's manifest, as its registry has it.
    fn digest(&self, image: &str) -> String {
        let inspect = ["inspect", "--tls-verify=false", "--creds", "user:secret", "--format", "{{.Digest}}"];
        let output = Command::new("skopeo").args(inspect).arg(format!("docker://{image}")).output();
        ended(output.expect("skopeo can be started")).trim_end().to_owned()
    }
}

/// The standard output of what has to end well.
fn ended(output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn recipe(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(name).display().to_string()
}

/// What `yq` finds in a recipe; it refuses what is not YAML.
fn part(name: &str, filter: &str) -> String {
    query(Path::new(&recipe(name)), filter)
}

/// Where the recipes get b2i from.
fn url_of_b2i() -> String {
    format!("file://{}", env!("CARGO_BIN_EXE_b2i"))
}

/// Bases come from the test registry, as from a mirror.
fn write_configuration(project: &Project) {
    let environment = TestEnvironment::get();
    let base = format!("{}/b2i-test-bases/jre:{}", environment.registry(), unique("recipe"));
    let docker = environment.docker();
    docker.stdout(&["tag", &environment.image("jre:17"), &base]);
    docker.stdout(&["push", &base]);
    docker.stdout(&["image", "rm", &base]);
    let lines = ["8", "11", "17", "21", "25"]
        .map(|version| format!("\"docker.io/library/eclipse-temurin:{version}-jre\" = \"{base}\"\n"));
    std::fs::write(project.path("config.toml"), format!("[bases]\n{}", lines.concat())).expect("writes");
}

#[test]
fn github_actions() {
    let project = Project::new();
    write_configuration(&project);
    let (registry, url) = (project.registry.address.clone(), url_of_b2i());
    let outputs = project.path("outputs").display().to_string();
    let variables = [
        ("REGISTRY", registry.as_str()),
        ("DOWNLOAD_URL", &url),
        ("TOKEN", "secret"),
        ("GITHUB_ACTOR", "user"),
        ("GITHUB_REPOSITORY", "Team/Shop"),
        ("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567"),
        ("GITHUB_OUTPUT", &outputs),
    ];
    for step in ["install", "login", "image"] {
        let script =
            part("github-actions.yml", &format!(".jobs.image.steps[] | select(.id == \"{step}\").run"));
        ended(project.shell("bash", &script, &variables));
    }
    let digest = std::fs::read_to_string(&outputs).expect("the step has an output");
    let image = format!("{registry}/team/shop:0123456789abcdef0123456789abcdef01234567");
    assert_eq!(digest, format!("digest={}\n", project.digest(&image)));
    assert_eq!(project.digest(&format!("{registry}/team/shop:main")), project.digest(&image));
    // Whatever is not run here is what GitHub gives: the actions, and secrets by their names alone.
    assert_eq!(part("github-actions.yml", ".permissions.packages").trim(), "write");
}

#[test]
fn gitlab_ci() {
    let project = Project::new();
    write_configuration(&project);
    let (registry, url) = (project.registry.address.clone(), url_of_b2i());
    let image = format!("{registry}/team/shop");
    let variables = [
        ("DOWNLOAD_URL", url.as_str()),
        ("CI_REGISTRY", &registry),
        ("CI_REGISTRY_USER", "user"),
        ("CI_REGISTRY_PASSWORD", "secret"),
        ("CI_REGISTRY_IMAGE", &image),
        ("CI_COMMIT_SHORT_SHA", "01234567"),
    ];
    // GitLab runs the lines of a job in one shell.
    let script = part("gitlab-ci.yml", ".image.script[]");
    ended(project.shell("sh", &script, &variables));
    let metadata = std::fs::read_to_string(project.path("image.json")).expect("the job's artifact");
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("JSON");
    assert_eq!(metadata["manifestDigest"], project.digest(&format!("{image}:01234567")).as_str());
}

#[test]
fn tekton() {
    let project = Project::new();
    write_configuration(&project);
    let (registry, url) = (project.registry.address.clone(), url_of_b2i());
    let login =
        format!("printf secret | {} login {registry} -u user --password-stdin", env!("CARGO_BIN_EXE_b2i"));
    let docker_config = project.path("dockerconfig").display().to_string();
    ended(project.shell("sh", &login, &[("DOCKER_CONFIG", &docker_config)]));
    let script = part("tekton.yaml", ".spec.steps[0].script");
    // The script's only names are those that the step's environment sets.
    let names = part("tekton.yaml", ".spec.steps[0].env[].name");
    assert_eq!(
        names.split_whitespace().collect::<Vec<_>>(),
        ["ARTIFACT", "IMAGE", "DOWNLOAD_URL", "DIGEST_FILE", "DOCKER_CONFIG", "HOME"]
    );
    for put_in in ["$(params", "$(workspaces", "$(results"] {
        assert!(!script.contains(put_in), "values come as variables: {script}");
    }
    let (image, digest) = (format!("{registry}/team/shop:1"), project.path("digest").display().to_string());
    let (home, place) =
        (project.path("home").display().to_string(), project.path("b2i").display().to_string());
    let script = script.replace("/tmp/b2i", &place);
    let variables = [
        ("ARTIFACT", "target/app.jar"),
        ("IMAGE", &image),
        ("DOWNLOAD_URL", &url),
        ("DIGEST_FILE", &digest),
        ("DOCKER_CONFIG", &docker_config),
        ("HOME", &home),
    ];
    ended(project.shell("sh", &script, &variables));
    assert_eq!(std::fs::read_to_string(&digest).expect("the result"), project.digest(&image));
}

/// Writes the first YAML block of a page into the project and returns its path.
fn block(page: &str, project: &Project) -> PathBuf {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("the page is there");
    let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let path = project.path("block.yml");
    std::fs::write(&path, block.expect("the page has a block of YAML")).expect("writes");
    path
}

/// What `yq` finds in a file.
fn query(path: &Path, filter: &str) -> String {
    let output = Command::new("yq").args(["--exit-status", "--raw-output", filter]).arg(path).output();
    ended(output.expect("yq can be started (tests/run installs it)"))
}

#[test]
fn the_steps_in_readme() {
    let project = Project::new();
    write_configuration(&project);
    let (registry, url) = (project.registry.address.clone(), url_of_b2i());
    let script = query(&block("README.md", &project), ".steps[].run // empty");
    // The artifact is there already, and GitHub's registry is the one of the tests.
    let script = script.replace("mvn --batch-mode package\n", "").replace("ghcr.io", &registry);
    assert_eq!(script.lines().count(), 3, "{script}");
    let variables = [
        ("DOWNLOAD_URL", url.as_str()),
        ("TOKEN", "secret"),
        ("GITHUB_ACTOR", "user"),
        ("GITHUB_REPOSITORY", "Team/Shop"),
        ("GITHUB_SHA", "01234567"),
    ];
    let printed = ended(project.shell("bash", &script, &variables));
    let image = format!("{registry}/team/shop:01234567");
    assert!(printed.contains(&format!("{registry}/team/shop@{}\n", project.digest(&image))), "{printed}");
}

#[test]
fn a_pod_without_rights() {
    let project = Project::new();
    write_configuration(&project);
    let registry = project.registry.address.clone();
    let login =
        format!("printf secret | {} login {registry} -u user --password-stdin", env!("CARGO_BIN_EXE_b2i"));
    let credentials = project.path("credentials").display().to_string();
    ended(project.shell("sh", &login, &[("DOCKER_CONFIG", &credentials)]));
    // Kubernetes lets the pod's user read a secret.
    ended(project.shell("sh", "chmod -R a+rX . credentials", &[]));
    let job = block("docs/kubernetes.md", &project);
    let container = ".spec.template.spec.containers[0]";
    let rights =
        query(&job, &format!("{container}.securityContext | [.readOnlyRootFilesystem, .runAsUser] | @csv"));
    assert_eq!(rights.trim(), "true,65532");
    assert_eq!(query(&job, &format!("{container}.securityContext.capabilities.drop[]")).trim(), "ALL");
    let mut arguments: Vec<String> = ["run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp"]
        .into_iter()
        .chain(["--user", "65532:65532", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"])
        .map(str::to_owned)
        .collect();
    let mounts = [
        (env!("CARGO_BIN_EXE_b2i").to_owned(), "/usr/local/bin/b2i"),
        (project.path("target").display().to_string(), "/artifact"),
        (credentials, "/credentials"),
        (project.path("config.toml").display().to_string(), "/config.toml"),
    ];
    for (from, to) in mounts {
        arguments.extend(["--volume".into(), format!("{from}:{to}:ro")]);
    }
    let variables = query(&job, &format!("{container}.env[] | .name + \"=\" + .value"));
    for variable in variables.lines().chain(["B2I_CONFIG=/config.toml"]) {
        arguments.extend(["--env".into(), variable.into()]);
    }
    let environment = TestEnvironment::get();
    arguments.push(environment.image("glibc:12"));
    let command = query(&job, &format!("{container}.command[]"));
    arguments.extend(command.lines().map(|word| word.replace("registry.example", &registry)));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = environment.docker().stdout(&arguments);
    let image = format!("{registry}/team/app:1");
    assert_eq!(
        String::from_utf8_lossy(&printed),
        format!("{registry}/team/app@{}\n", project.digest(&image))
    );
}
