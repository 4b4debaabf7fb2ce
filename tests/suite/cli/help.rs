//! Help texts as a whole, so that a review shows every word that changes.
//!
//! After a change: `INSTA_UPDATE=always cargo test --test suite cli::help`.

use insta::assert_snapshot;

use crate::support::Sandbox;

/// Every command of b2i, but for those with a snapshot of their own.
const COMMANDS: [&str; 20] = [
    "inspect",
    "builders",
    "builders list",
    "builders show",
    "builders check",
    "builders create",
    "builders export",
    "copy",
    "login",
    "logout",
    "doctor",
    "cache",
    "cache info",
    "cache prune",
    "config",
    "config show",
    "completions",
    "man",
    "builders -h",
    "inspect -h",
];

const S2I_COMMANDS: [&str; 8] =
    ["", "build", "rebuild", "usage", "create", "generate", "version", "completion"];

/// The help of `b2i LINE`.
fn help(line: &str) -> String {
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    if arguments.last() != Some(&"-h") {
        arguments.push("--help");
    }
    let ended = Sandbox::new().run(&arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{line}");
    ended.stdout
}

/// The global options stand in the help of b2i and of `build`.
fn without_global_options(help: &str) -> String {
    let (before, after) = help.split_once("Global options:\n").unwrap_or((help, ""));
    let after: Vec<&str> =
        after.lines().skip_while(|line| line.is_empty() || line.starts_with(' ')).collect();
    format!("{}\n\n{}\n", before.trim_end(), after.join("\n")).trim_end().to_owned() + "\n"
}

#[test]
fn long_help_of_every_command() {
    assert_snapshot!("b2i", help(""));
    assert_snapshot!("build", help("build"));
    let titled = |line: &str| format!("$ b2i {line}\n{}\n", without_global_options(&help(line)));
    assert_snapshot!("commands", COMMANDS.map(titled).concat());
    assert_snapshot!("s2i", S2I_COMMANDS.map(|command| titled(&format!("s2i {command}"))).concat());
}

#[test]
fn short_help_of_build_fits_a_screen() {
    assert!(help("build -h").lines().count() <= 40);
}

#[test]
fn short_help() {
    let ended = Sandbox::new().run(&["-h"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_snapshot!(ended.stdout, @r"
    Turn an artifact into a container image, without a Dockerfile

    Usage: b2i [OPTIONS] <COMMAND>

    Commands:
      build        Build an image from an artifact or from sources
      inspect      Show what an artifact is and what it needs
      builders     List, show, check, create and export builders
      copy         Copy an image between registries, layouts, archives and the daemon
      login        Check registry credentials and store them
      logout       Remove the stored credentials of a registry
      doctor       Check this machine and explain how to fix problems
      cache        Show or prune the cache
      config       Show the configuration
      s2i          Build from sources with the command line of s2i
      completions  Print a completion script for a shell
      man          Print a manual page, or write all of them to a directory

    Global options:
      -q, --quiet       Print only results and errors
      -v, --verbose...  Log more; -vv logs even more
      -h, --help        Print help (-h: summary, --help: everything)
      -V, --version     Print the version

    Run `b2i COMMAND -h` for the options of a command.
    ");
}

#[test]
fn build_help() {
    let ended = Sandbox::new().run(&["build", "-h"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_snapshot!(ended.stdout, @r"
    Build an image from an artifact or from sources

    Usage: b2i build [OPTIONS] <ARTIFACT>... [-- <ARGS>...]

    Arguments:
      <ARTIFACT>...  Package a JAR, WAR, executable, archive or source tree (path or URL)
      [ARGS]...      Pass these arguments to the program (stored in the variable ARGS)

    Image options:
      -t, --tag <NAME[:TAG]>      Name the image [repeatable] [default: the artifact's name]
      -e, --env <NAME[=VALUE]>    Set an environment variable; without VALUE, use the current one
          --port <PORT>           Expose a port, such as 8080 or 53/udp [repeatable]
          --label <NAME=VALUE>    Set a label [repeatable]
          --platform <OS/ARCH>    Build for these platforms, such as linux/amd64,linux/arm64
          --user <USER>           Set the user: a name or UID[:GID] [default: the builder's]
          --entrypoint <COMMAND>  Replace the entrypoint: a JSON list, or words quoted as in a shell

    Output options:
      -o, --output <WHERE>  Write to docker, registry, or (oci|oci-archive|docker-archive):PATH
          --push            Push to the registries of the tags (same as --output registry)
          --run             Run the image after the build; exit as the program exits
          --dry-run         Print the plan and build nothing

    Builder options:
          --builder <NAME|IMAGE>  Use this builder: a name such as java:21, or any S2I builder image
          --base <IMAGE>          Use this base: NAME, docker-daemon:NAME, oci:DIR or an archive

    Input options:
          --add <SRC[:DEST]>  Add a file or directory beside the artifact, or at DEST [repeatable]

    Global options:
      -q, --quiet       Print only results and errors
      -v, --verbose...  Log more; -vv logs even more
      -h, --help        Print help (-h: summary, --help: everything)

    Examples:
      b2i build target/app.jar -t app:1.0
      b2i build app.jar -t registry.example/team/app:1.2 --push
      b2i build ./server --run -- --port 8080
    ");
}

#[test]
fn long_help_names_every_variable_and_exit_code() {
    let ended = Sandbox::new().run(&["--help"]);
    for key in b2i::config::keys::KEYS.iter() {
        if let Some(variable) = key.variables.first() {
            assert!(ended.stdout.contains(variable), "{variable}");
        }
    }
    for variable in b2i::config::keys::OTHER_VARIABLES {
        assert!(ended.stdout.contains(variable), "{variable}");
    }
    assert!(ended.stdout.contains("130, 143"));
}

#[test]
fn help_is_a_command_too() {
    let sandbox = Sandbox::new();
    for (typed, means) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "build"], &["build", "--help"]),
        (&["help", "cache", "prune"], &["cache", "prune", "--help"]),
        (&["s2i", "help"], &["s2i", "--help"]),
        (&["s2i", "help", "build"], &["s2i", "build", "--help"]),
    ] {
        let (typed_ended, ended) = (sandbox.run(typed), sandbox.run(means));
        assert_eq!((typed_ended.code, typed_ended.stderr.as_str()), (0, ""), "{typed:?}");
        assert_eq!(typed_ended.stdout, ended.stdout, "{typed:?}");
    }
    assert_eq!(sandbox.run(&["help", "nonsense"]).code, 2);
}

#[test]
fn s2is_flags_are_not_called_b2is_own() {
    let help = Sandbox::new().run(&["s2i", "build", "--help"]).stdout;
    let own = help.split("b2i's own flags:").nth(1).expect("a heading");
    let own = own.split("Global flags:").next().expect("a part");
    let flags = own.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('-')));
    assert_eq!(flags.collect::<Vec<_>>(), ["--output", "--push"], "{help}");
}
