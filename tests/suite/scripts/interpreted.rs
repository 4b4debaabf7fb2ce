//! What `run` of the templates for interpreted languages starts, as a false `node`, `npm` and `python3` see it, under
//! every shell.

use std::path::Path;

use tempfile::TempDir;

use super::*;

/// An APP_ROOT with these files; those below `bin` are probes.
fn application(files: &[(&str, &str)]) -> TempDir {
    let folder = open_folder();
    for (path, text) in files {
        let path = folder.path().join(path);
        if *text == PROBE {
            install_script(&path, text);
            continue;
        }
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }
    folder
}

fn command(runner: Runner, template: &str, root: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = runner.command(template, "run");
    let tools = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let mut path = root.join("tools").into_os_string();
    path.push(":");
    path.push(tools.expect("a path"));
    command.env("PATH", path).env("APP_ROOT", root).envs(environment.iter().copied());
    command
}

/// The program that was started, and its arguments, ROOT for the folder.
fn started(output: &Output, root: &Path) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let root = root.to_str().expect("UTF-8");
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let words: Vec<String> = text.split('\0').skip(1).map(|word| word.replace(root, "ROOT")).collect();
    words[..words.len() - 1].to_vec()
}

#[test]
fn node_is_started_itself_where_no_shell_is_needed() {
    for (script, environment, arguments, expected) in [
        ("node server.js", &[][..], &[][..], &["ROOT/tools/node", "server.js"][..]),
        (
            "node  server.js --name 'a b' \"c d\"",
            &[("ARGS", "--x '*  $(id)'")],
            &["last one"],
            &["ROOT/tools/node", "server.js", "--name", "a b", "c d", "--x", "*  $(id)", "last one"],
        ),
        ("next start", &[], &[], &["ROOT/src/node_modules/.bin/next", "start"]),
        ("A=1 node x.js", &[], &["y"], &["ROOT/tools/node", "x.js", "y"]),
        (
            "node a.js && node b.js",
            &[("ARGS", "'a b'")],
            &["c"],
            &[
                "ROOT/tools/npm",
                "--cache",
                "/tmp/.npm",
                "--no-update-notifier",
                "run",
                "start",
                "--",
                "a b",
                "c",
            ],
        ),
        (
            "node $FILE",
            &[],
            &[],
            &["ROOT/tools/npm", "--cache", "/tmp/.npm", "--no-update-notifier", "run", "start", "--"],
        ),
    ] {
        let folder = application(&[
            ("src/package.json", "{}"),
            ("start/start", script),
            ("tools/node", PROBE),
            ("tools/npm", PROBE),
            ("src/node_modules/.bin/next", PROBE),
        ]);
        for runner in SHELLS {
            let output = run(command(runner, "nodejs", folder.path(), environment).args(arguments));
            assert_eq!(started(&output, folder.path()), expected, "{runner:?} {script}");
        }
    }
}

#[test]
fn node_settings_that_are_wrong_are_said_without_their_values() {
    let folder = application(&[("src/package.json", "{}"), ("start/start", "no-such-program")]);
    let empty = application(&[]);
    for runner in SHELLS {
        for (root, environment, code, words) in [
            (folder.path(), &[("ARGS", "'s3cret")][..], 2, "ARGS has a single quote"),
            (folder.path(), &[("NPM_RUN", "../s3cret")], 2, "NPM_RUN is not the name of a script"),
            (folder.path(), &[], 127, "cannot start no-such-program"),
            (empty.path(), &[], 127, "run assemble first"),
        ] {
            let output = run(&mut command(runner, "nodejs", root, environment));
            assert_eq!(output.status.code(), Some(code), "{runner:?}: {output:?}");
            assert!(stderr(&output).contains(words) && !stderr(&output).contains("s3cret"), "{output:?}");
        }
    }
}

#[test]
fn python_starts_what_is_there() {
    let python = ("venv/bin/python3", PROBE);
    let gunicorn = ("venv/bin/gunicorn", PROBE);
    let serve = |module: &'static str| {
        let mut words = vec![
            "-m",
            "gunicorn",
            "--bind",
            "0.0.0.0:9000",
            "--access-logfile",
            "-",
            "--worker-tmp-dir",
            "/tmp",
        ];
        words.extend(["a b", module]);
        words
    };
    type Case<'a> = (Vec<(&'a str, &'a str)>, Vec<(&'a str, &'a str)>, Vec<&'a str>);
    let table: Vec<Case<'_>> = vec![
        (vec![("src/app.py", "")], vec![], vec!["app.py", "a b"]),
        (vec![("src/main.py", "")], vec![], vec!["main.py", "a b"]),
        (
            vec![("src/app.py", ""), ("src/my app.py", "")],
            vec![("APP_FILE", "my app.py")],
            vec!["./my app.py", "a b"],
        ),
        (vec![("src/__main__.py", "")], vec![], vec![".", "a b"]),
        (vec![("src/shop/__main__.py", "")], vec![], vec!["-m", "shop", "a b"]),
        (vec![("src/src/shop/__main__.py", "")], vec![], vec!["-m", "shop", "a b"]),
        (vec![("src/wsgi.py", ""), gunicorn], vec![("PORT", "9000")], serve("wsgi")),
        (
            vec![("src/app.py", ""), gunicorn],
            vec![("APP_MODULE", "shop.web:app"), ("PORT", "9000")],
            serve("shop.web:app"),
        ),
        (
            vec![("src/app.py", ""), ("venv/bin/uvicorn", PROBE)],
            vec![("APP_MODULE", "a:b")],
            vec!["-m", "uvicorn", "--host", "0.0.0.0", "--port", "8080", "a b", "a:b"],
        ),
    ];
    for (files, environment, expected) in table {
        let folder = application(&[&[python][..], &files].concat());
        for runner in SHELLS {
            let output = run(command(runner, "python", folder.path(), &environment).env("ARGS", "'a b'"));
            let words = started(&output, folder.path());
            assert_eq!(words[1..], expected, "{runner:?} {files:?}");
            assert_eq!(words[0], "ROOT/venv/bin/python3");
        }
    }
}

#[test]
fn python_says_when_nothing_or_several_could_be_started() {
    let python = ("venv/bin/python3", PROBE);
    let one = ("src/one/__main__.py", "");
    for runner in SHELLS {
        for (files, environment, code, words) in [
            (&[python, ("src/x.txt", "")][..], &[][..], 127, "nothing says what is started"),
            (&[python, one, ("src/two/__main__.py", "")], &[], 2, "several packages"),
            (&[python, one], &[("APP_MODULE", "a:b")], 127, "neither gunicorn nor uvicorn"),
            (&[python, one], &[("APP_FILE", "gone.py")], 127, "APP_FILE names no file"),
            (&[python, one], &[("PORT", "80 80")], 2, "PORT is not a number"),
            (&[one], &[], 127, "run assemble first"),
        ] {
            let folder = application(files);
            let output = run(&mut command(runner, "python", folder.path(), environment));
            assert_eq!(output.status.code(), Some(code), "{runner:?} {files:?}: {output:?}");
            assert!(stderr(&output).contains(words), "{runner:?}: {output:?}");
        }
    }
}
