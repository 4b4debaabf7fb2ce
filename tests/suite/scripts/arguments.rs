//! The words of ARGS and everything else about the program's start, in the template `binary`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use super::*;

/// An APP_ROOT whose program prints its arguments.
static PROBE_ROOT: LazyLock<TempDir> = LazyLock::new(|| {
    let root = open_folder();
    install_script(&root.path().join("bin/binary"), PROBE);
    root
});

/// Runs `run` with ARGS and the container's arguments: the program's arguments, or exit code and message.
fn start(runner: Runner, args: &[u8], container: &[&[u8]]) -> Result<Vec<Vec<u8>>, (i32, String)> {
    start_by(runner.command("binary", "run"), args, container)
}

fn start_by(mut command: Command, args: &[u8], container: &[&[u8]]) -> Result<Vec<Vec<u8>>, (i32, String)> {
    command.env("APP_ROOT", PROBE_ROOT.path()).env("ARGS", OsStr::from_bytes(args)).env("LANG", "C.UTF-8");
    command.args(container.iter().map(|argument| OsStr::from_bytes(argument)));
    let output = run(&mut command);
    match output.status.code() {
        Some(0) => Ok(probed(&output.stdout)),
        code => Err((code.expect("not killed"), stderr(&output))),
    }
}

#[test]
fn words_are_split_by_quoting_rules_and_nothing_is_expanded() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \t\n ", &[]),
        ("--port 8080", &["--port", "8080"]),
        ("  a\t b\nc\n", &["a", "b", "c"]),
        ("--name \"John Doe\"", &["--name", "John Doe"]),
        ("'a b' \"c d\"e'f g'", &["a b", "c def g"]),
        ("'' \"\" x''", &["", "", "x"]),
        ("a''b", &["ab"]),
        ("*.txt ? [a-z] /*", &["*.txt", "?", "[a-z]", "/*"]),
        ("$HOME $(id) `id` ${PATH} $((1+1))", &["$HOME", "$(id)", "`id`", "${PATH}", "$((1+1))"]),
        ("\"$HOME $(id) `id`\"", &["$HOME $(id) `id`"]),
        (
            "~ ~root #no comment; & | < > ( ) { } !",
            &["~", "~root", "#no", "comment;", "&", "|", "<", ">", "(", ")", "{", "}", "!"],
        ),
        ("-n -e -- -", &["-n", "-e", "--", "-"]),
        // In single quotes everything is literal.
        (r#"'\n "$x" \'"#, &[r#"\n "$x" \"#]),
        // In double quotes the backslash escapes only $ ` " \ and the newline.
        (r#""\$ \` \" \\ \a \'" "#, &[r#"$ ` " \ \a \'"#]),
        ("\"a\\\nb\"", &["ab"]),
        ("\"a\nb\" 'c\nd'", &["a\nb", "c\nd"]),
        // Outside, it escapes any character, and with a newline it vanishes.
        (r#"a\ b \' \" \\ \$ \* \a"#, &["a b", "'", "\"", "\\", "$", "*", "a"]),
        ("a\\\tb \\\t", &["a\tb", "\t"]),
        ("a\\\nb \\\n c", &["ab", "c"]),
        ("\\\n", &[]),
        ("\"-escape:a\" -escape:\\ b", &["-escape:a", "-escape: b"]),
        (r#"{"json": "a'b"}"#, &["{json:", "a'b}"]),
        (r#"'{"json": "a"}'"#, &[r#"{"json": "a"}"#]),
        ("naïve 丁 '日本 語' \u{1}\u{7f} %s%n", &["naïve", "丁", "日本 語", "\u{1}\u{7f}", "%s%n"]),
        ("a=b IFS=x 1 2", &["a=b", "IFS=x", "1", "2"]),
    ];
    for runner in ALL {
        for (args, words) in table {
            let mut expected: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(start(runner, args.as_bytes(), &[]), Ok(expected.clone()), "{runner:?}: {args:?}");
            let container: [&[u8]; 4] = [b"--more", b"", b"a b", b"*'\"\\$x"];
            expected.extend(container.map(<[u8]>::to_vec));
            assert_eq!(start(runner, args.as_bytes(), &container), Ok(expected), "{runner:?}: {args:?}");
        }
        // Bytes that are no UTF-8, above all those that shells use as marks inside.
        let bytes: Vec<u8> = (0x80..=0xff).collect();
        assert_eq!(start(runner, &bytes, &[&bytes]), Ok(vec![bytes.clone(), bytes.clone()]), "{runner:?}");
    }
}

#[test]
fn an_unclosed_quote_is_an_error_that_does_not_show_the_value() {
    let table = [
        ("secret 'abc", "a single quote (') that is not closed"),
        ("secret \"abc", "a double quote (\") that is not closed"),
        ("secret \"abc\\", "a double quote (\") that is not closed"),
        ("secret \"abc\\\"", "a double quote (\") that is not closed"),
        ("secret abc\\", "ends with a backslash that escapes nothing"),
        ("secret 'abc' '", "a single quote (') that is not closed"),
    ];
    for runner in ALL {
        for (args, expected) in table {
            let (code, message) = start(runner, args.as_bytes(), &[]).expect_err("refused");
            assert_eq!(code, 2, "{runner:?}: {args}");
            assert!(message.starts_with("run: ARGS ") && message.contains(expected), "{runner:?}: {message}");
            assert!(!message.contains("secret") && !message.contains("abc"), "{runner:?}: {message}");
        }
    }
}

#[test]
fn args_may_be_unset_and_s2i_command_is_no_argument() {
    for runner in ALL {
        let mut command = runner.command("binary", "run");
        let script = command.get_args().last().unwrap_or(command.get_program()).to_owned();
        // S2I leaves our entrypoint and sets the command to the path of `run`.
        command.env("APP_ROOT", PROBE_ROOT.path()).arg(script).arg("x");
        assert_eq!(probed(&must_succeed(&mut command).stdout), [b"x"], "{runner:?}");
    }
}

#[test]
fn long_values_take_little_time() {
    let tables: [(Vec<u8>, usize); 5] = [
        (b"a ".repeat(60_000), 60_000),
        (b"'a' ".repeat(30_000), 30_000),
        ([b"'", b"{\"a\":\"b\"},".repeat(12_000).as_slice(), b"'"].concat(), 1),
        (b"\\a".repeat(60_000), 1),
        (b"a".repeat(130_000), 1),
    ];
    for runner in ALL {
        for (args, count) in &tables {
            let inner = runner.command("binary", "run");
            // Quadratic work would take minutes. The processor's time is limited, which other processes do not use up.
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -t 20; exec \"$@\"", "sh"]);
            command.arg(inner.get_program()).args(inner.get_args()).env_clear();
            command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let words = start_by(command, args, &[]);
            assert_eq!(words.map(|words| words.len()), Ok(*count), "{runner:?}");
        }
    }
}

/// A runner with a fixed seed; PROPTEST_CASES asks for more cases.
fn property_runner(cases: u32) -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![3 => proptest::sample::select(b"'\"\\ \t\n$`*?~#-a".as_slice()), 1 => 1_u8..=255]
}

#[test]
fn any_words_in_single_quotes_come_through() {
    let words = vec(vec(any_byte(), 0..12), 0..8);
    for runner in ALL {
        property_runner(48)
            .run(&words, |words| {
                let quoted: Vec<Vec<u8>> = words
                    .iter()
                    .map(|word| {
                        let inner: Vec<&[u8]> = word.split(|byte| *byte == b'\'').collect();
                        [b"'", inner.join(br"'\''".as_slice()).as_slice(), b"'"].concat()
                    })
                    .collect();
                prop_assert_eq!(start(runner, &quoted.join(&b' '), &[]), Ok(words));
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{runner:?}: {error}"));
    }
}

#[test]
fn all_shells_and_the_launcher_agree_on_any_text() {
    property_runner(96)
        .run(&vec(any_byte(), 0..24), |args| {
            let code_only = |runner| start(runner, &args, &[b"x"]).map_err(|(code, _)| code);
            let expected = code_only(Runner::Launcher);
            for runner in SHELLS {
                prop_assert_eq!(code_only(runner), expected.clone(), "{:?}", runner);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_program_finds_environment_directory_and_umask_unchanged() {
    let root = open_folder();
    install_script(
        &root.path().join("bin/binary"),
        "#!/bin/sh\ncat /proc/$$/environ; grep Umask /proc/$$/status; readlink /proc/$$/cwd\n",
    );
    let given: BTreeMap<String, String> = [
        ("APP_ROOT", root.path().to_str().expect("UTF-8")),
        ("ARGS", "a 'b c'"),
        // Names that a careless script would use itself.
        ("state", "mine"),
        ("word", "mine"),
        ("words", "mine"),
        ("text", "mine"),
        ("program", "mine"),
        ("MULTI", "line\nfeed"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for runner in ALL {
        let inner = runner.command("binary", "run");
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0027; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(&given).current_dir("/usr");
        let output = must_succeed(&mut command);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (environment, rest) = text.rsplit_once('\0').expect("an environment");
        assert_eq!(rest, "Umask:\t0027\n/usr\n", "{runner:?}");
        let mut found: BTreeMap<String, String> = environment
            .split('\0')
            .map(|line| line.split_once('=').expect("name and value"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // These the shells set themselves.
        for own in ["PATH", "PWD", "OLDPWD", "SHLVL", "_"] {
            found.remove(own);
        }
        assert_eq!(found, given, "{runner:?}");
    }
}

#[test]
fn what_cannot_be_started_is_named_with_the_right_code() {
    let root = open_folder();
    let program = root.path().join("bin/binary");
    let expect = |code: i32, text: &str| {
        for runner in ALL {
            let mut command = runner.command("binary", "run");
            let output = run(command.env("APP_ROOT", root.path()));
            assert_eq!(output.status.code(), Some(code), "{runner:?}: {output:?}");
            let shown = program.to_str().expect("UTF-8");
            // Bash ends on a failed exec, and says itself what is missing.
            let found = stderr(&output).contains(text)
                || runner == Runner::Bash && stderr(&output).contains("required file not found");
            assert!(found && stderr(&output).contains(shown), "{runner:?}: {output:?}");
        }
    };
    expect(127, "is not there: run assemble first");
    std::fs::create_dir_all(&program).expect("a new folder");
    expect(126, "is a directory");
    std::fs::remove_dir(&program).expect("an empty folder");
    std::fs::write(&program, "#!/bin/sh\n").expect("writable");
    set_mode(&program, 0o644);
    expect(126, "is not executable for user");
    std::fs::remove_file(&program).expect("a file");
    install_script(&program, "#!/no/such/loader\n");
    expect(127, "is its loader or interpreter in this image?");
}

#[test]
fn a_user_of_group_0_can_run_it_and_it_takes_the_signals() {
    let root = open_folder();
    install_script(&root.path().join("bin/binary"), "#!/bin/sh\nid -u; id -g; echo $$; kill -TERM $$\n");
    for runner in ALL {
        let mut command = runner.command("binary", "run");
        command.env("APP_ROOT", root.path());
        as_user(&mut command, 1_234_567);
        let child = command.stdout(std::process::Stdio::piped()).spawn().expect("starts");
        let id = child.id();
        let output = child.wait_with_output().expect("ends");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(15), "{runner:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], id.to_string(), "{runner:?}: the program is the very process that was started");
        if rustix::process::geteuid().is_root() {
            assert_eq!(lines[..2], ["1234567", "0"], "{runner:?}");
        }
    }
}

#[test]
fn usage_says_the_same_everywhere() {
    for runner in ALL {
        let output = must_succeed(&mut runner.command("binary", "usage"));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.contains("ARGS") && text.contains("docker run"), "{runner:?}");
        assert_eq!(text, std::fs::read_to_string(usage_file()).expect("readable"), "{runner:?}");
    }
}

fn usage_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/launcher/program/usage.txt")
}
