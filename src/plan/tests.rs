//! Tests of planning: what a request, an artifact and a builder become.

use std::collections::BTreeSet;

use super::*;
use crate::builder::{Catalog, CatalogSettings, ProductKind, Selection, SelectionRequest, select};
use crate::detect::facts::{ExecutableFacts, Kind, Linkage, ServletApi, WarFacts};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::layer::Owner;
use crate::input::{
    AddedContent, AddedDestination, AddedFile, Artifact, FileContent, InputSource, Neighbours,
};
use crate::request::{AssembleRequest, BuilderRequest, Request};
use crate::sources::SourceInfo;
use crate::transport::Transport;

pub(super) fn request() -> Request {
    Request { artifacts: vec![InputSource::Stdin], ..Request::default() }
}

/// The builder that `--builder` names.
fn builder(name: &str) -> BuilderRequest {
    name.parse::<BuilderRequest>().expect("the name of a builder")
}

fn artifact(name: &str) -> Artifact {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let origin = Origin::Url { url: "https://host.example/rel/file".into() };
    Artifact {
        name: name.into(),
        size: 0,
        sha256: None,
        origin,
        content: FileContent::temporary(file),
        tree_path: None,
        added: Vec::new(),
        left_out: 0,
        has_other_platforms: false,
    }
}

pub(super) fn program() -> Facts {
    let executable = ExecutableFacts {
        platform: Platform::linux("amd64"),
        linkage: Linkage::Static,
        interpreter: None,
        libc: None,
        glibc: None,
        libraries: Vec::new(),
        run_path: Vec::new(),
        built_by: None,
        packed: false,
        payload: None,
        stripped: true,
    };
    Facts { size: 7, kind: Kind::Executable(executable) }
}

pub(super) fn war() -> Facts {
    let war = WarFacts {
        servlet_api: Some(ServletApi::Jakarta),
        servlet_evidence: None,
        java: Some(17),
        main_class: None,
        start_class: None,
        spring_boot: None,
        libraries: BTreeSet::new(),
        self_executing: false,
        ..WarFacts::default()
    };
    Facts { size: 7, kind: Kind::War(war) }
}

fn selection(settings: &CatalogSettings, request: &Request, artifact: &Artifact, facts: &Facts) -> Selection {
    let catalog = Catalog::new(settings).expect("the catalog is valid");
    let asked = SelectionRequest {
        artifact: &artifact.name,
        facts,
        builder: request.builder.as_ref(),
        platform: request.platforms.first(),
        allow_missing: false,
        tree_path: artifact.tree_path.as_deref(),
        neighbours: &Neighbours::default(),
        environment: &request.image.env,
        base: None,
    };
    select(&catalog, &asked).expect("a builder fits")
}

/// The one stage of a plan.
fn plan(request: &Request, artifact: &Artifact, facts: &Facts, daemon: bool) -> Result<Stage, PlanError> {
    whole(request, artifact, facts, daemon).map(|plan| plan.stages.into_iter().next().expect("one stage"))
}

fn whole(request: &Request, artifact: &Artifact, facts: &Facts, daemon: bool) -> Result<Plan, PlanError> {
    plan_with(&CatalogSettings::default(), request, artifact, facts, daemon)
}

fn only(plan: &Plan) -> &Transport {
    let [planned] = &plan.outputs[..] else { panic!("{:?}", plan.outputs) };
    assert_eq!(planned.takes, Takes::Image { stage: 0 });
    &planned.output
}

fn plan_with(
    settings: &CatalogSettings,
    request: &Request,
    artifact: &Artifact,
    facts: &Facts,
    daemon: bool,
) -> Result<Plan, PlanError> {
    let machine = Machine { daemon, sandbox: false, native_platform: Platform::linux("amd64") };
    plan_on(&machine, settings, request, artifact, facts, false)
}

fn plan_on(
    machine: &Machine,
    settings: &CatalogSettings,
    request: &Request,
    artifact: &Artifact,
    facts: &Facts,
    is_declared: bool,
) -> Result<Plan, PlanError> {
    let selection = selection(settings, request, artifact, facts);
    let template_entries = match &selection {
        Selection::Template(choice) => choice.template.image_entries(None),
        Selection::Image(_) => Vec::new(),
    };
    let names: &[&str] = if is_declared { &[] } else { &[&artifact.name] };
    let (selection, template_entries) = (&selection, &template_entries[..]);
    let image = ImageFacts { artifact, facts, is_declared, selection, template_entries, machine };
    make(request, names, &[image], machine)
}

#[test]
fn a_declared_artifact_makes_the_image_that_it_makes_when_it_is_built() {
    let settings = CatalogSettings::default();
    let (mut built, facts) = (artifact("shop.bin"), program());
    for (origin, daemon, output) in [
        (Origin::Sources { location: None }, true, "docker"),
        (
            Origin::Sources { location: Some("https://git.example/shop".into()) },
            false,
            "docker-archive:<artifact.stem>.tar",
        ),
    ] {
        built.origin = origin;
        let machine = Machine { daemon, sandbox: false, native_platform: Platform::linux("amd64") };
        let of = |is_declared| plan_on(&machine, &settings, &request(), &built, &facts, is_declared);
        let (declared, known) = (of(true).expect("a plan"), of(false).expect("a plan"));
        let values = KnownValues { artifact_name: Some("shop.bin".into()), ..KnownValues::default() };
        let (early, late) = (&declared.stages[0], &known.stages[0]);
        assert_eq!(early.image.resolve(&values), late.image.resolve(&values));
        assert_eq!((&early.builder, &early.assembly), (&late.builder, &late.assembly));
        assert_eq!(declared.tags, []);
        let text = render_text(&declared);
        for line in [
            "artifact    <artifact.name> (declared as static executable for linux/amd64) from the sources",
            "label       io.b2i.artifact.name=<artifact.name>",
            "tag         <artifact.stem>:latest",
            &format!("output      {output}"),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
        }
    }
}

fn entry<'a>(stage: &'a Stage, path: &str) -> &'a PlannedEntry {
    let Assembly::Place { entries } = &stage.assembly else { panic!("{:?}", stage.assembly) };
    entries.iter().find(|entry| entry.path.as_str() == path).unwrap_or_else(|| panic!("{path}: {entries:?}"))
}

#[test]
fn an_unchanged_template_is_placed_and_its_base_reset() {
    let stage = plan(&request(), &artifact("server"), &program(), true).expect("a plan");
    let binary = entry(&stage, "/opt/app-root/bin/binary");
    assert_eq!((binary.mode, binary.owner), (0o755, Owner::ROOT));
    assert_eq!(stage.image.resets, ["Entrypoint", "Cmd", "OnBuild"]);
    assert_eq!(stage.image.edits.cmd, Some(Vec::new()));
    assert_eq!(stage.image.edits.created, "1980-01-01T00:00:00Z");
    let plan = whole(&request(), &artifact("server"), &program(), true).expect("a plan");
    assert_eq!(*only(&plan), Transport::Docker);
    assert_eq!(plan.tags[0].familiar(), "server:latest");
}

#[test]
fn a_mirror_of_this_machine_is_not_in_the_image_but_another_image_is() {
    let public = "docker.io/library/tomcat:10.1-jre17";
    for (replacement, recorded) in [
        ("mirror.example/hub/tomcat:10.1-jre17", PlannedText::from(public)),
        ("registry.example/base/tomcat:10", "registry.example/base/tomcat:10".into()),
        ("oci:/mnt/base", Placeholder::BaseName.into()),
    ] {
        let location = replacement.parse().expect("a location");
        let settings = CatalogSettings {
            replaced_bases: [(public.to_owned(), location)].into(),
            ..CatalogSettings::default()
        };
        let request = Request { builder: Some(builder("tomcat:10.1-jre17")), ..request() };
        let plan = plan_with(&settings, &request, &artifact("shop.war"), &war(), true).expect("a plan");
        let stage = &plan.stages[0];
        assert_eq!(stage.builder.base, replacement);
        let label = |(name, _): &&(String, PlannedText)| name == "org.opencontainers.image.base.name";
        let name = stage.image.later_labels.iter().find(label);
        assert_eq!(name.expect("there").1, recorded);
    }
    // No other tool knows the built-in base, and S2I's label names images only.
    let image = plan(&request(), &artifact("server"), &program(), true).expect("a plan").image;
    assert!(!image.later_labels.iter().any(|(name, _)| name.ends_with("base.name")));
    let built_by = "io.openshift.s2i.build.image";
    assert_eq!(image.edits.labels.get("io.b2i.builder").map(String::as_str), Some("binary:static"));
    assert!(!image.edits.labels.contains_key(built_by));
    // A label of the base is not the image's.
    for label in ["org.opencontainers.image.base.name", "org.opencontainers.image.base.digest", built_by] {
        assert!(image.edits.removed_labels.contains(label), "{label}");
    }
}

#[test]
fn options_without_effect_are_said_to_have_none() {
    let mut request = request();
    request.main_class = Some("a.B".into());
    request.image.annotations.insert("a".into(), "b".into());
    let plan = whole(&request, &artifact("server"), &program(), true).expect("a plan");
    let messages: Vec<&str> = plan.all_warnings().iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`--annotation` has no effect: daemons and their archives do not store annotations",
            "`--main-class` has no effect: `server` is not a JAR"
        ]
    );
}

#[test]
fn a_value_of_several_lines_is_one_line_of_text() {
    let mut request = request();
    request.image.env = vec![("A".into(), "one\ntag        evil".into())];
    let text = render_text(&whole(&request, &artifact("server"), &program(), true).expect("a plan"));
    assert!(text.lines().any(|line| line == "env         A=one\\ntag        evil"), "{text}");
}

#[test]
fn a_war_gets_its_second_name() {
    let mut request = request();
    request.image.context_path = Some("/shop".parse().expect("a path"));
    let stage = plan(&request, &artifact("shop.war"), &war(), true).expect("a plan");
    let link = entry(&stage, "/opt/app-root/tomcat/webapps/shop.war");
    let target = entry(&stage, "/opt/app-root/bin/binary").path.clone();
    assert_eq!(link.what, EntrySource::HardLink { target });
}

#[test]
fn without_a_daemon_the_result_is_an_archive_on_a_base_from_its_registry() {
    let server = whole(&request(), &artifact("server"), &program(), false).expect("a plan");
    assert_eq!(*only(&server), Transport::DockerArchive { path: "server.tar".into() });
    let stage = plan(&request(), &artifact("shop.war"), &war(), false).expect("a plan");
    assert_eq!(stage.builder.base_source, BaseSource::Registry);
    let mut asked = request();
    asked.outputs = vec![Transport::Docker];
    let error = plan(&asked, &artifact("server"), &program(), false).expect_err("there is no daemon");
    assert!(matches!(error, PlanError::NoDaemon), "{error}");
}

#[test]
fn a_builder_image_runs_and_keeps_its_entrypoint() {
    let mut asked = request();
    asked.builder = Some(builder("any.example/s2i-builder:3"));
    let stage = plan(&asked, &artifact("server"), &program(), true).expect("a plan");
    let Assembly::Run(run) = &stage.assembly else { panic!("{:?}", stage.assembly) };
    assert_eq!((run.engine, &run.scripts, &run.user), (EngineKind::Docker, &None, &None));
    assert_eq!(run.sources[0].path, "server");
    assert_eq!(stage.image.edits.entrypoint, None);
    let known = KnownValues { builder_scripts: Some("/usr/local/s2i".into()), ..KnownValues::default() };
    assert_eq!(stage.image.resolve(&known).cmd, Some(vec!["/usr/local/s2i/run".to_owned()]));
    asked.assemble = AssembleRequest::Place;
    let error = plan(&asked, &artifact("server"), &program(), true).expect_err("not placeable");
    assert_eq!(error.kind(), FailureKind::Usage);
}

#[test]
fn a_builder_images_platform_is_the_programs_unless_this_machine_runs_it_too() {
    let mut asked = request();
    asked.builder = Some(builder("any.example/s2i-builder:3"));
    let platform_of = |built_for: &str, asked: &Request| {
        let mut facts = program();
        let Kind::Executable(executable) = &mut facts.kind else { panic!("an executable") };
        executable.platform = built_for.parse().expect("a platform");
        plan(asked, &artifact("server"), &facts, true).expect("a plan").platform.to_string()
    };
    assert_eq!(platform_of("linux/amd64", &asked), "linux/amd64");
    assert_eq!(platform_of("linux/arm64", &asked), "linux/arm64");
    assert_eq!(platform_of("linux/386", &asked), "linux/amd64");
    asked.platforms = vec!["linux/386".parse().expect("a platform")];
    assert_eq!(platform_of("linux/386", &asked), "linux/386");
}

#[test]
fn arguments_are_quoted_into_the_environment_and_given_once() {
    let mut asked = request();
    asked.image.args = Some(vec!["--port".into(), "8080".into(), "a b".into()]);
    let stage = plan(&asked, &artifact("server"), &program(), true).expect("a plan");
    let args = stage.image.edits.env.iter().find(|(name, _)| name == "ARGS").expect("ARGS is set");
    assert_eq!(args.1, "--port 8080 'a b'");
    asked.image.env = vec![("ARGS".into(), "x".into())];
    let error = plan(&asked, &artifact("server"), &program(), true).expect_err("given twice");
    assert!(matches!(error, PlanError::ArgsTwice));
}

#[test]
fn labels_of_the_user_win_and_later_ones_are_put_in() {
    let mut asked = request();
    asked.image.labels.insert("io.k8s.display-name".into(), "mine".into());
    asked.image.labels.insert("io.b2i.artifact.digest".into(), "mine too".into());
    let stage = plan(&asked, &artifact("server"), &program(), true).expect("a plan");
    let known = KnownValues { artifact_digest: Some("sha256:1".into()), ..KnownValues::default() };
    let labels = stage.image.resolve(&known).labels;
    assert_eq!(labels["io.k8s.display-name"], "mine");
    assert_eq!(labels["io.b2i.artifact.digest"], "mine too");
    assert_eq!(labels["io.openshift.s2i.build.source-location"], "https://host.example/rel/file");
    assert!(!labels.contains_key("org.opencontainers.image.base.digest"), "this base has no digest");
}

#[test]
fn added_files_get_modes_by_what_they_are_and_foreign_directories_stay_alone() {
    let mut with_files = artifact("server");
    let file = |executable| AddedContent::File { content: with_files.content.clone(), size: 0, executable };
    let beside = |path: &str| AddedDestination::Beside(path.into());
    let absolute = |path: &str| AddedDestination::Absolute(ImagePath::new(path).expect("valid"));
    with_files.added = vec![
        AddedFile { destination: beside("lib"), content: AddedContent::Directory },
        AddedFile { destination: beside("lib/tool"), content: file(true) },
        AddedFile { destination: absolute("/etc"), content: AddedContent::Directory },
        AddedFile { destination: absolute("/etc/app.yml"), content: file(false) },
    ];
    let stage = plan(&request(), &with_files, &program(), true).expect("a plan");
    assert_eq!(entry(&stage, "/opt/app-root/bin/lib").mode, 0o1775);
    assert_eq!(entry(&stage, "/opt/app-root/bin/lib/tool").mode, 0o755);
    assert_eq!(entry(&stage, "/etc/app.yml").mode, 0o644);
    let Assembly::Place { entries } = &stage.assembly else { panic!("placed") };
    assert!(
        entries.iter().all(|entry| entry.path.as_str() != "/etc"),
        "the base's directory is not taken over"
    );
}

/// A program in a tree with a library.
fn artifact_in_tree() -> Artifact {
    let mut artifact = artifact("tool");
    let content = AddedContent::File { content: artifact.content.clone(), size: 0, executable: false };
    let beside = |path: &str| AddedDestination::Beside(path.into());
    artifact.tree_path = Some("bin/tool".into());
    artifact.added = vec![
        AddedFile { destination: beside("bin"), content: AddedContent::Directory },
        AddedFile { destination: beside("lib"), content: AddedContent::Directory },
        AddedFile { destination: beside("lib/x"), content },
    ];
    artifact
}

#[test]
fn a_tree_stays_whole_and_binary_leads_into_it() {
    let stage = plan(&request(), &artifact_in_tree(), &program(), true).expect("a plan");
    let target = "app/bin/tool".to_owned();
    assert_eq!(entry(&stage, "/opt/app-root/bin/binary").what, EntrySource::Symlink { target });
    assert_eq!(entry(&stage, "/opt/app-root/bin/app/bin/tool").what, EntrySource::Artifact);
    assert_eq!(entry(&stage, "/opt/app-root/bin/app").what, EntrySource::Directory);
    assert_eq!(entry(&stage, "/opt/app-root/bin/app/lib/x").what, EntrySource::Added { index: 2 });
    assert_eq!(stage.image.edits.working_dir.as_deref(), Some("/opt/app-root/bin/app"));
    let mut asked = request();
    asked.image.working_dir = Some("/srv".parse().expect("a path"));
    let stage = plan(&asked, &artifact_in_tree(), &program(), true).expect("a plan");
    assert_eq!(stage.image.edits.working_dir.as_deref(), Some("/srv"));
}

#[test]
fn what_stays_out_is_said_once() {
    let mut artifact = artifact("tool");
    for (count, note) in [
        (0, None),
        (1, Some("1 other file of the archive is left out; `--keep-tree` takes everything along")),
        (12, Some("12 other files of the archive are left out; `--keep-tree` takes everything along")),
    ] {
        artifact.left_out = count;
        let plan = whole(&request(), &artifact, &program(), true).expect("a plan");
        assert_eq!(plan.all_notes(), note.as_slice());
        let text = render_text(&plan);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("note ")).count(),
            note.iter().count(),
            "{text}"
        );
    }
}

#[test]
fn a_war_in_a_tree_gets_its_second_name() {
    let mut tree = artifact_in_tree();
    tree.tree_path = Some("shop.war".into());
    let stage = plan(&request(), &tree, &war(), true).expect("a plan");
    let target = entry(&stage, "/opt/app-root/bin/app/shop.war").path.clone();
    assert_eq!(entry(&stage, "/opt/app-root/tomcat/webapps/ROOT.war").what, EntrySource::HardLink { target });
}

#[test]
fn a_script_finds_the_tree_where_it_expects_it() {
    let run = |request: &Request| {
        let stage = plan(request, &artifact_in_tree(), &program(), true).expect("a plan");
        let Assembly::Run(run) = stage.assembly else { panic!("{:?}", stage.assembly) };
        let paths: Vec<String> = run.sources.iter().map(|source| source.path.clone()).collect();
        let artifact =
            run.environment.iter().find(|(name, _)| name == "B2I_ARTIFACT").expect("named").1.clone();
        (paths, artifact, stage.image.edits.working_dir)
    };
    let own = run(&Request { assemble: AssembleRequest::Docker, ..request() });
    let paths = ["app/bin/tool", "app", "app/bin", "app/lib", "app/lib/x"].map(str::to_owned);
    let directory = Some("/opt/app-root/bin/app".to_owned());
    assert_eq!(own, (paths.to_vec(), "app/bin/tool".to_owned(), directory));
    // As `s2i build` of the directory.
    let foreign = run(&Request { builder: Some(builder("any.example/s2i-builder:3")), ..request() });
    let paths = ["bin/tool", "bin", "lib", "lib/x"].map(str::to_owned);
    assert_eq!(foreign, (paths.to_vec(), "bin/tool".to_owned(), None));
}

#[test]
fn a_file_below_tmp_leaves_tmp_to_everybody() {
    let mut with_files = artifact("server");
    let content = AddedContent::File { content: with_files.content.clone(), size: 0, executable: false };
    let absolute = |path: &str| AddedDestination::Absolute(ImagePath::new(path).expect("valid"));
    with_files.added = vec![
        AddedFile { destination: absolute("/tmp/seed/data"), content: content.clone() },
        AddedFile { destination: absolute("/tmp/more"), content },
    ];
    let stage = plan(&request(), &with_files, &program(), true).expect("a plan");
    let tmp = entry(&stage, "/tmp");
    assert_eq!((tmp.mode, tmp.owner, &tmp.what), (0o1777, Owner::ROOT, &EntrySource::Directory));
    let Assembly::Place { entries } = &stage.assembly else { panic!("placed") };
    assert_eq!(entries.iter().filter(|entry| entry.path.as_str() == "/tmp").count(), 1);
    assert!(entries.iter().all(|entry| entry.path.as_str() != "/var/tmp"));
}

#[test]
fn a_file_behind_a_link_of_the_base_is_refused_where_it_would_be_placed() {
    let mut with_file = artifact("server");
    let content = AddedContent::File { content: with_file.content.clone(), size: 0, executable: true };
    let destination = AddedDestination::Absolute(ImagePath::new("/bin/tool").expect("valid"));
    with_file.added = vec![AddedFile { destination, content }];
    let error = plan(&request(), &with_file, &war(), true).expect_err("`/bin` is a link there");
    assert_eq!(error.kind(), FailureKind::Usage);
    assert!(error.hints()[0].contains("/usr/bin/tool"), "{:?}", error.hints());
    // The built-in base has none, and a script's files are uploaded through links.
    plan(&request(), &with_file, &program(), true).expect("a plan");
    let script = Request { assemble: AssembleRequest::Docker, ..request() };
    plan(&script, &with_file, &war(), true).expect("a plan");
}

#[test]
fn names_become_tags_that_docker_takes() {
    for (name, tag) in [
        ("App Server_2.0.jar", "app-server_2.0:latest"),
        ("tool-1.2-linux-amd64", "tool-1.2-linux-amd64:latest"),
        ("ünïcode.WAR", "n-code:latest"),
        ("_.a__b-.bin", "a-b:latest"),
    ] {
        let plan = whole(&request(), &artifact(name), &program(), true).expect(name);
        assert_eq!(plan.tags[0].familiar(), tag);
    }
    let error = plan(&request(), &artifact("日本"), &program(), true).expect_err("no letter is left");
    assert!(matches!(error, PlanError::Tag { .. }) && !error.hints().is_empty());
}

#[test]
fn limits_that_placing_ignores_are_said_once() {
    let mut asked = request();
    asked.limits.memory = Some(1 << 30);
    asked.limits.pids = Some(5);
    let plan = whole(&asked, &artifact("server"), &program(), true).expect("a plan");
    assert_eq!(plan.all_warnings().len(), 1);
    let text = render_text(&plan);
    assert!(text.contains("/opt/app-root/bin/binary  ← the artifact"), "{text}");
}

/// A source stage with a value in every field.
fn source_stage(plan: &Plan) -> SourceStage {
    let path = |text: &str| ImagePath::new(text).expect("a path");
    let script = |name: &str, origin| {
        let path = path("/tmp/scripts").join(name).expect("a name");
        Some(PlannedScript { path, origin, through_shell: name == "assemble" })
    };
    let sources = ScriptOrigin::Sources { path: ".s2i/bin/assemble".into() };
    let scripts = PlannedScripts {
        assemble: script("assemble", sources),
        run: script("run", ScriptOrigin::Image),
        save_artifacts: script("save-artifacts", ScriptOrigin::File { path: "/srv/save-artifacts".into() }),
    };
    let limits = Limits {
        memory: Some(1 << 30),
        nano_cpus: Some(1_500_000_000),
        timeout: Some(std::time::Duration::from_millis(1500)),
        ..Limits::default()
    };
    let runtime = PlannedRuntime {
        image: "app:1".parse().expect("a name"),
        artifacts: vec![(path("/out/app"), path("/srv"))],
        keeps_artifacts: true,
        destination: path("/srv"),
        user: "1001".into(),
        assemble: None,
        run: scripts.run.clone(),
    };
    SourceStage {
        source: PlannedSources {
            name: "shop".into(),
            info: SourceInfo {
                location: Some("https://git.example/shop".into()),
                context_directory: None,
                commit: None,
            },
            build_file: Some("pom.xml".into()),
            entries: 3,
        },
        builder: plan.stages[0].builder.clone(),
        platform: Platform::linux("amd64"),
        engine: EngineKind::Sandbox,
        engine_reason: "no daemon answers".into(),
        destination: path("/tmp"),
        user: String::new(),
        scripts,
        environment: vec![("A".into(), "b c".into())],
        build_environment: vec!["TOKEN".into()],
        secrets: vec!["settings".into()],
        injections: vec![PlannedInjection { source: "/srv/files".into(), destination: path("/opt") }],
        volumes: vec!["/srv/data:/data:ro".parse().expect("a volume")],
        caches: vec![PlannedCache { name: "maven".into(), path: path("/root/.m2") }],
        limits,
        add_hosts: vec!["a:10.0.0.1".into()],
        drop_capabilities: vec!["NET_RAW".parse().expect("a capability")],
        on_build: vec!["RUN make".into()],
        incremental: Some("app:1".parse().expect("a name")),
        cache_key: Some("team".into()),
        runtime: Some(runtime),
        product: PlannedProduct::Artifact { kind: Some(ProductKind::Java), places: vec![path("/out")] },
        warnings: vec![Warning { message: "m".into(), hint: Some("h".into()) }],
    }
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let settings = CatalogSettings::default();
    let machine = Machine { daemon: true, sandbox: false, native_platform: Platform::linux("amd64") };
    let mut added = artifact("shop.war");
    added.added.push(AddedFile {
        destination: AddedDestination::Absolute(ImagePath::new("/root/x").expect("a path")),
        content: AddedContent::Symlink { target: "y".into() },
    });
    let image = Request { builder: Some(builder("registry.example/builder:1")), ..request() };
    let layout = Request { outputs: vec![Transport::OciDirectory { path: "image".into() }], ..request() };
    let of = |request: &Request, facts: &Facts, is_declared| {
        plan_on(&machine, &settings, request, &added, facts, is_declared).expect("a plan")
    };
    let mut of_sources = of(&request(), &war(), false);
    of_sources.source = Some(source_stage(&of_sources));
    of_sources.stages[0].assembly = Assembly::Sources;
    of_sources.outputs[0].takes = Takes::Index;
    of_sources.unplanned = Some("nothing declares it".into());
    for plan in [
        of(&layout, &war(), false),
        of(&image, &program(), false),
        of(&request(), &program(), true),
        of_sources,
    ] {
        let text = serde_json::to_string(&plan).expect("a plan is plain data");
        let read: Plan = serde_json::from_str(&text).expect(&text);
        assert_eq!(serde_json::to_string(&read).expect("a plan is plain data"), text);
    }
}
