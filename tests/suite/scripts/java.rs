//! What the template `java` makes of its settings, as a false Java sees it and as a real one does.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

use super::*;

/// An APP_ROOT with a JAR that nobody opens, and two false homes of Java: `java` (9 or later) and `java8`.
static FALSE_JAVA: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = open_folder();
    install_script(&folder.path().join("bin/binary"), "");
    install_script(&folder.path().join("java/bin/java"), PROBE);
    install_script(&folder.path().join("java8/bin/java"), PROBE);
    std::fs::create_dir(folder.path().join("java8/lib")).expect("writable");
    std::fs::write(folder.path().join("java8/lib/rt.jar"), "").expect("writable");
    folder
});

fn command(runner: Runner, home: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Command {
    let root = FALSE_JAVA.path();
    let mut command = runner.command("java", "run");
    command.env("APP_ROOT", root).env("JAVA_HOME", root.join(home)).env("HOME", "/home dir");
    // The memory of this machine may have a limit or not.
    command.env("JAVA_MAX_MEM_RATIO", "75");
    command.envs(environment.iter().copied()).args(arguments);
    command
}

/// The options and arguments that Java gets, with ROOT for the temporary folder.
fn options(output: &Output) -> Vec<String> {
    let root = FALSE_JAVA.path().to_str().expect("UTF-8");
    probed(&output.stdout)
        .into_iter()
        .map(|argument| String::from_utf8(argument).expect("UTF-8").replace(root, "ROOT"))
        .collect()
}

const DEFAULTS: [&str; 5] = [
    "-Duser.home=/home dir",
    "-Dfile.encoding=UTF-8",
    "-Djava.io.tmpdir=/tmp",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:MaxRAMPercentage=75.0",
];
const JAR: [&str; 2] = ["-jar", "ROOT/bin/binary"];
const DEBUG: &str = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=";

#[test]
fn settings_become_options_in_a_fixed_order() {
    let debugger = |rest: &str| format!("{DEBUG}{rest}");
    let own =
        |options: &[&str]| [&DEFAULTS, options, &JAR].concat().iter().map(|o| (*o).to_owned()).collect();
    // Settings, the container's arguments, what Java gets.
    type Case = (Vec<(&'static str, &'static str)>, Vec<&'static str>, Vec<String>);
    let mut table: Vec<Case> = vec![
        (vec![], vec![], own(&[])),
        (
            vec![("JAVA_OPTS", "-Dname=\"John Doe\" -Xss1m"), ("JAVA_OPTIONS", "'-Da=*  $(id)' -Xss2m")],
            vec![],
            own(&["-Dname=John Doe", "-Xss1m", "-Da=*  $(id)", "-Xss2m"]),
        ),
        (
            vec![
                ("HTTP_PROXY", "http://user:pass%40@proxy.example:3128/"),
                ("NO_PROXY", "localhost, .corp,a.b:80"),
            ],
            vec![],
            own(&[
                "-Dhttp.nonProxyHosts=localhost|127.*|[::1]|localhost|*.corp|a.b",
                "-Dhttp.proxyHost=proxy.example",
                "-Dhttp.proxyPort=3128",
            ]),
        ),
        (
            vec![
                ("HTTP_PROXY", "http://upper:1"),
                ("http_proxy", "lower"),
                ("https_proxy", "https://[fd00::1]"),
                ("no_proxy", "*,10.0.0.0/8,::2,[::3]:80"),
            ],
            vec![],
            own(&[
                "-Dhttp.nonProxyHosts=localhost|127.*|[::1]|*|[::2]|[::3]",
                "-Dhttp.proxyHost=lower",
                "-Dhttp.proxyPort=80",
                "-Dhttps.proxyHost=fd00::1",
                "-Dhttps.proxyPort=443",
            ]),
        ),
        // A value that is no proxy is left out, and nothing in it is ever executed.
        (vec![("HTTP_PROXY", "http://$(touch x);`id`:1"), ("NO_PROXY", "a")], vec![], own(&[])),
        (
            vec![("HTTP_PROXY", "socks5://proxy:1080"), ("HTTPS_PROXY", "http://proxy:99999")],
            vec![],
            own(&[]),
        ),
        (
            vec![("HTTP_PROXY", "http://user:pa/ss@proxy:80/")],
            vec![],
            own(&["-Dhttp.proxyHost=proxy", "-Dhttp.proxyPort=80"]),
        ),
        (vec![("JAVA_DEBUG", "false"), ("JAVA_DEBUG_PORT", "7000")], vec![], own(&[])),
    ];
    for (settings, rest) in [
        (vec![("JAVA_DEBUG", "true")], "n,address=*:5005"),
        (
            vec![("JAVA_DEBUG", "1"), ("JAVA_DEBUG_PORT", "7000"), ("JAVA_DEBUG_SUSPEND", "true")],
            "y,address=*:7000",
        ),
    ] {
        let mut expected = own(&[]);
        expected.insert(5, debugger(rest));
        table.push((settings, vec![], expected));
    }
    for (ratio, option) in
        [("50", Some("-XX:MaxRAMPercentage=50.0")), ("0", None), ("100", Some("-XX:MaxRAMPercentage=100.0"))]
    {
        let mut expected: Vec<String> = own(&[]);
        expected.remove(4);
        if let Some(option) = option {
            expected.insert(4, option.to_owned());
        }
        table.push((vec![("JAVA_MAX_MEM_RATIO", ratio)], vec![], expected));
    }
    let mut with_arguments: Vec<String> = own(&[]);
    with_arguments.extend(["--spring", "a b", "*", "--more", "@file"].map(str::to_owned));
    table.push((vec![("ARGS", "--spring 'a b' *")], vec!["--more", "@file"], with_arguments));
    for (class_path, expected) in [("", "ROOT/bin/binary"), ("lib/*:/a b", "ROOT/bin/binary:lib/*:/a b")] {
        let mut options: Vec<String> = DEFAULTS.iter().map(|option| (*option).to_owned()).collect();
        options.extend(["-cp", expected, "com.example.Main", "x"].map(str::to_owned));
        table.push((
            vec![("JAVA_MAIN_CLASS", "com.example.Main"), ("JAVA_CLASSPATH", class_path), ("ARGS", "x")],
            vec![],
            options,
        ));
    }
    for runner in SHELLS {
        for (settings, arguments, expected) in &table {
            let output = must_succeed(&mut command(runner, "java", settings, arguments));
            assert_eq!(&options(&output), expected, "{runner:?}: {settings:?}");
            let told = stderr(&output);
            assert!(!told.contains("pass%40") && !told.contains("pa/ss"), "{runner:?}: {told}");
        }
    }
}

#[test]
fn what_is_left_out_is_said() {
    let table = [
        (
            "HTTP_PROXY",
            "http://user:secret@proxy:1",
            "user name and password in HTTP_PROXY are not handed to Java",
        ),
        ("HTTPS_PROXY", "socks5://secret", "HTTPS_PROXY is ignored: only http and https"),
        ("HTTPS_PROXY", "http://secret:0", "HTTPS_PROXY is ignored: its port"),
        ("HTTP_PROXY", "http://secret secret", "HTTP_PROXY is ignored: its host"),
        ("JAVA_CLASSPATH", "secret", "JAVA_CLASSPATH has no effect without JAVA_MAIN_CLASS"),
    ];
    for runner in SHELLS {
        for (name, value, text) in table {
            let told = stderr(&must_succeed(&mut command(runner, "java", &[(name, value)], &[])));
            assert!(told.contains(text) && !told.contains("secret"), "{runner:?}: {told}");
        }
        assert_eq!(stderr(&must_succeed(&mut command(runner, "java", &[], &[]))), "", "{runner:?}");
    }
}

#[test]
fn wrong_settings_end_with_code_2_and_show_no_value() {
    let table = [
        ("ARGS", "'secret", "ARGS has a single quote"),
        ("JAVA_OPTS", "\"secret", "JAVA_OPTS has a double quote"),
        ("JAVA_OPTIONS", "secret\\", "JAVA_OPTIONS ends with a backslash"),
        ("JAVA_MAX_MEM_RATIO", "101", "JAVA_MAX_MEM_RATIO is not a number from 0 to 100"),
        ("JAVA_MAX_MEM_RATIO", "-5", "JAVA_MAX_MEM_RATIO"),
        ("JAVA_MAX_MEM_RATIO", "50%", "JAVA_MAX_MEM_RATIO"),
        ("JAVA_MAX_MEM_RATIO", "99999999999999999999", "JAVA_MAX_MEM_RATIO"),
        ("JAVA_DEBUG", "secret", "JAVA_DEBUG is neither true nor false"),
        ("JAVA_MAIN_CLASS", "-secret", "JAVA_MAIN_CLASS is not the name of a class"),
    ];
    for runner in SHELLS {
        for (name, value, text) in table {
            let output = run(&mut command(runner, "java", &[(name, value)], &[]));
            assert_eq!(output.status.code(), Some(2), "{runner:?} {name}: {output:?}");
            assert!(stderr(&output).contains(text), "{runner:?}: {output:?}");
            assert!(!stderr(&output).contains("secret"), "{runner:?}: {output:?}");
        }
        for port in ["0", "65536", "x", "123456789012345678901"] {
            let settings = [("JAVA_DEBUG", "true"), ("JAVA_DEBUG_PORT", port)];
            let output = run(&mut command(runner, "java", &settings, &[]));
            assert_eq!(output.status.code(), Some(2), "{runner:?} {port}: {output:?}");
        }
    }
}

#[test]
fn java_8_gets_its_own_form_of_the_debugger_address() {
    for runner in SHELLS {
        let output = must_succeed(&mut command(runner, "java8", &[("JAVA_DEBUG", "true")], &[]));
        assert!(options(&output).contains(&format!("{DEBUG}n,address=5005")), "{runner:?}: {output:?}");
    }
}

#[test]
fn java_is_found_on_the_path_and_missed_with_a_message() {
    for runner in SHELLS {
        let mut found = command(runner, "no such home", &[], &[]);
        let original =
            found.get_envs().find(|(name, _)| *name == OsStr::new("PATH")).and_then(|(_, value)| value);
        let mut path = original.expect("a PATH").as_bytes().to_vec();
        let folder = FALSE_JAVA.path().join("java/bin");
        path = [folder.as_os_str().as_bytes(), b":", &path].concat();
        let output = must_succeed(found.env("PATH", OsStr::from_bytes(&path)));
        assert!(options(&output).ends_with(&JAR.map(str::to_owned)), "{runner:?}");

        let mut missed = command(runner, "no such home", &[], &[]);
        let tools = open_folder();
        for tool_name in ["printf", "readlink", "id"] {
            std::os::unix::fs::symlink(tool(tool_name), tools.path().join(tool_name)).expect("writable");
        }
        let output = run(missed.env("PATH", tools.path()));
        assert_eq!(output.status.code(), Some(127), "{runner:?}: {output:?}");
        assert!(stderr(&output).contains("no Java"), "{runner:?}: {output:?}");
    }
}

/// A JAR that tells what it sees, and one with a class that the first does not have.
static JARS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = open_folder();
    let source = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    source(
        "Tell.java",
        "public class Tell { public static void main(String[] a) throws Exception {
            for (String p : new String[] {\"user.home\", \"file.encoding\", \"sun.jnu.encoding\", \"name\", \"java.io.tmpdir\"})
                System.out.println(p + \"=\" + System.getProperty(p));
            for (String s : a) System.out.println(\"[\" + s + \"]\");
            System.out.println(\"pid=\" + ProcessHandle.current().pid());
            if (a.length > 0 && a[0].equals(\"wait\")) { System.out.flush(); Thread.sleep(60000); } } }",
    );
    source("Other.java", "public class Other { public static void main(String[] a) { Tell2.tell(); } }");
    source("Tell2.java", "public class Tell2 { static void tell() { System.out.println(\"from lib\"); } }");
    source("manifest", "Main-Class: Tell\n");
    let java = |program: &str, arguments: &[&str]| {
        must_succeed(Command::new(tool(program)).args(arguments).current_dir(folder.path()));
    };
    java("javac", &["--release", "11", "-encoding", "UTF-8", "Tell.java", "Other.java", "Tell2.java"]);
    std::fs::create_dir_all(folder.path().join("bin/lib")).expect("writable");
    java("jar", &["cfm", "bin/binary", "manifest", "Tell.class", "Other.class"]);
    java("jar", &["cf", "bin/lib/two.jar", "Tell2.class"]);
    folder
});

fn real(runner: Runner) -> Command {
    let mut command = runner.command("java", "run");
    command.env("APP_ROOT", JARS.path()).current_dir(JARS.path().join("bin"));
    as_user(&mut command, 1_234_567);
    tool("java");
    if runner == Runner::Busybox {
        command.env("JAVA_HOME", java_home());
    }
    command
}

/// The home of the machine's Java.
pub(super) fn java_home() -> PathBuf {
    let java = tool("java").canonicalize().expect("a link to Java");
    java.ancestors().nth(2).map(Path::to_owned).expect("bin in a home")
}

#[test]
fn a_real_java_runs_the_jar() {
    for runner in SHELLS {
        let output = must_succeed(
            real(runner)
                .env("HOME", "/opt/some home")
                .env("JAVA_OPTS", "-Dname='John \"J\" Doe' -Xmx64m")
                .env("ARGS", "\"a b\" '*' 日本")
                .arg("--more"),
        );
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let expected = "user.home=/opt/some home\nfile.encoding=UTF-8\nsun.jnu.encoding=UTF-8\n\
            name=John \"J\" Doe\njava.io.tmpdir=/tmp\n[a b]\n[*]\n[日本]\n[--more]\n";
        assert!(text.starts_with(expected), "{runner:?}: {text}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{runner:?}");
    }
}

#[test]
fn a_real_java_runs_another_class_with_a_class_path() {
    let output =
        must_succeed(real(Runner::Dash).env("JAVA_MAIN_CLASS", "Other").env("JAVA_CLASSPATH", "lib/*"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "from lib\n");
}

#[test]
fn a_real_java_takes_all_options_and_gets_the_signals() {
    let mut command = real(Runner::Dash);
    command.env("ARGS", "wait").env("JAVA_DEBUG", "true").env("JAVA_DEBUG_PORT", free_port().to_string());
    command.env("HTTP_PROXY", "http://proxy:1").env("NO_PROXY", ".corp").env("JAVA_MAX_MEM_RATIO", "25");
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    let pid = format!("pid={}", child.id());
    assert!(lines.any(|line| line.expect("UTF-8") == pid), "Java is the very process that was started");
    terminate(&child);
    // Had it not got the signal, it would have ended by itself with 0.
    assert_eq!(child.wait().expect("ends").code(), Some(143));
}
