//! Finished scripts of every language that a base runs, from `b2i build` to what they print.

use super::*;

/// A script by its file name, its text, the version of `binary` it gets, and what it prints for the arguments `a` and `b c`.
const SCRIPTS: [(&str, &str, &str, &str); 10] = [
    (
        "tool.py",
        "#!/usr/bin/env python3\nimport sys; print('py', sys.argv[1:])\n",
        "python3.14",
        "py ['a', 'b c']\n",
    ),
    (
        "exact",
        "#!/usr/bin/env python3.11\nimport sys; print(sys.version_info[:2])\n",
        "python3.11",
        "(3, 11)\n",
    ),
    (
        "stated.py",
        "#!/usr/bin/env python3\n# /// script\n# requires-python = \"<3.12\"\n# ///\nprint('stated')\n",
        "python3.11",
        "stated\n",
    ),
    // In official images Python is in /usr/local/bin, in Debian's in /usr/bin.
    (
        "elsewhere.py",
        "#!/usr/local/bin/python3 -u\nimport sys; print(sys.argv[1:])\n",
        "python3.14",
        "['a', 'b c']\n",
    ),
    ("tool.js", "#!/usr/bin/env node\nconsole.log(process.argv.slice(2))\n", "node24", "[ 'a', 'b c' ]\n"),
    (
        "tool.mjs",
        "#!/usr/bin/env node\nimport { argv } from 'node:process'; console.log(argv.length)\n",
        "node24",
        "4\n",
    ),
    (
        "Tool.java",
        "#!/usr/bin/env -S java --source 17\nclass A { public static void main(String[] a) { System.out.println(a[1]); } }\n",
        "java17",
        "b c\n",
    ),
    ("tool.dash", "#! /bin/dash -eu\necho dash $#\n", "debian13", "dash 2\n"),
    ("tool.bb", "#!/bin/busybox sh\necho bb $#\n", "alpine3.22", "bb 2\n"),
    ("tool.pl", "#!/usr/bin/perl\nprint \"perl @ARGV\\n\";\n", "debian13", "perl a b c\n"),
];

#[test]
fn scripts_of_every_language_run() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for daemon in TestEnvironment::get().daemons() {
        for (name, text, version, printed) in SCRIPTS {
            let script = directory.path().join(name);
            write(&script, text);
            let image = Image::build(&daemon, &[&script.display().to_string()]);
            let planned = format!("Planned binary:{version} on");
            assert!(image.messages.contains(&planned), "{name}: {}", image.messages);
            assert!(!image.messages.contains("warning"), "{name}: {}", image.messages);
            assert_eq!(image.print(&["--read-only"], &["a", "b c"]), printed, "{name} on {}", daemon.name);
        }
    }
}

#[test]
fn the_package_of_a_script_chooses_the_release() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = directory.path().join("tool.js").display().to_string();
    write(Path::new(&script), "#!/usr/bin/env node\nconsole.log('packaged')\n");
    write(&directory.path().join("package.json"), r#"{"engines": {"node": ">=20 <23"}}"#);
    let daemon = TestEnvironment::get().docker();
    let image = Image::build(&daemon, &[&script]);
    assert!(image.messages.contains("Planned binary:node22 on"), "{}", image.messages);
    assert_eq!(image.print(&[], &[]), "packaged\n");
}

#[test]
fn a_zip_with_a_first_line_is_a_script() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = directory.path().join("source");
    std::fs::create_dir(&source).expect("made");
    write(&source.join("__main__.py"), "import sys; print('zipapp', sys.argv[1:])\n");
    let archive = directory.path().join("app.pyz").display().to_string();
    let status = std::process::Command::new("python3")
        .args(["-m", "zipapp", "-p", "/usr/bin/env python3", "-o", &archive])
        .arg(&source)
        .status();
    assert!(status.expect("the test state has Python").success());
    let daemon = TestEnvironment::get().docker();
    let image = Image::build(&daemon, &[&archive]);
    assert_eq!(image.print(&[], &["a"]), "zipapp ['a']\n");
}

/// Compiles a program that needs a library, and the library itself.
fn needing(directory: &Path, compiler: &str, library: &str, options: &[&str]) -> String {
    let (source, of_library) = (directory.join("main.c"), directory.join("library.c"));
    write(&of_library, "const char *word(void) { return \"from the library\"; }\n");
    write(
        &source,
        "#include <stdio.h>\nconst char *word(void);\nint main(void) { puts(word()); return 0; }\n",
    );
    let path = directory.join(library).display().to_string();
    let compile = |arguments: &[&str]| {
        let status = std::process::Command::new(compiler).args(arguments).current_dir(directory).status();
        assert!(status.expect("the test state has a compiler").success(), "{arguments:?}");
    };
    compile(&["-shared", "-fPIC", &format!("-Wl,-soname,{library}"), "-o", &path, "library.c"]);
    let program = directory.join("needing").display().to_string();
    compile(&[&["-o", program.as_str(), "main.c", path.as_str()], options].concat());
    program
}

#[test]
fn a_missing_library_is_an_error_whose_way_out_works() {
    let daemon = TestEnvironment::get().docker();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = needing(directory.path(), "gcc", "libword.so.1", &["-Wl,-rpath,$ORIGIN/../lib"]);
    let output = b2i(&daemon).args(["build", "--offline", &program]).run();
    assert_eq!(output.code, Some(5), "{}", output.stderr);
    assert!(output.stderr.contains("needs `libword.so.1`, which the base"), "{}", output.stderr);
    let added = format!("{}/libword.so.1:/opt/app-root/lib/libword.so.1", directory.path().display());
    assert!(output.stderr.contains(&format!("`--add {added}`")), "{}", output.stderr);
    let image = Image::build(&daemon, &[&program, "--add", &added]);
    assert_eq!(image.print(&[], &[]), "from the library\n");
    let image = Image::build(&daemon, &[&program, "--allow-missing"]);
    assert!(
        image.messages.contains("warning") && image.messages.contains("libword.so.1"),
        "{}",
        image.messages
    );
}

#[test]
fn a_musl_program_gets_the_libraries_of_gcc() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    needing(directory.path(), "musl-gcc", "libstdc++.so.6", &[]);
    // This program names the library and uses nothing of it, so the real one fits.
    let source = directory.path().join("main.c");
    write(&source, "#include <stdio.h>\nint main(void) { puts(\"started\"); return 0; }\n");
    let program = directory.path().join("bun-like").display().to_string();
    let status = std::process::Command::new("musl-gcc")
        .args(["-Wl,--no-as-needed", "-o", &program, "main.c", "./libstdc++.so.6"])
        .current_dir(directory.path())
        .status();
    assert!(status.expect("the test state has musl-gcc").success());
    for daemon in TestEnvironment::get().daemons() {
        let image = Image::build(&daemon, &[&program]);
        assert!(image.messages.contains("Planned binary:node24-alpine on"), "{}", image.messages);
        assert_eq!(image.print(&[], &[]), "started\n");
    }
}
