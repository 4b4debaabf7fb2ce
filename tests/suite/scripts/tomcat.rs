//! The template `tomcat` with real Tomcats, 9 (javax) and 10 (jakarta): Debian's packages in the layout that the
//! public images have.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// Folders `9` and `10`, each a CATALINA_HOME with bin, lib and conf.
static HOMES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = open_folder();
    let ten = package_folder("/usr/share/tomcat10", "tomcat10");
    let home = folder.path().join("10");
    std::fs::create_dir_all(home.join("conf")).expect("writable");
    symlink(ten.join("bin"), home.join("bin")).expect("writable");
    symlink(ten.join("lib"), home.join("lib")).expect("writable");
    for name in ["web.xml", "catalina.properties"] {
        symlink(ten.join("etc").join(name), home.join("conf").join(name)).expect("writable");
    }
    compose_nine(&folder.path().join("9"), &ten);
    folder
});

fn package_folder(path: &str, package: &str) -> PathBuf {
    assert!(Path::new(path).exists(), "{path} is needed for this test: apt-get install {package}");
    path.into()
}

/// Debian 12 has the libraries of Tomcat 9, but neither its bootstrap.jar — the same classes as in 10's — nor its
/// conf/web.xml.
fn compose_nine(home: &Path, ten: &Path) {
    package_folder("/usr/share/java/tomcat9-catalina.jar", "libtomcat9-java");
    for name in ["bin", "lib", "conf"] {
        std::fs::create_dir_all(home.join(name)).expect("writable");
    }
    for entry in std::fs::read_dir("/usr/share/java").expect("readable") {
        let jar = entry.expect("readable").path();
        let name = jar.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("tomcat9-") && !name.contains("-9.0.") && !name.contains("-i18n-") {
            let place =
                if name == "tomcat9-juli.jar" { "bin/tomcat-juli.jar".into() } else { format!("lib/{name}") };
            symlink(&jar, home.join(place)).expect("writable");
        }
    }
    let open = |path: PathBuf| zip::ZipArchive::new(File::open(path).expect("readable")).expect("a JAR");
    let names: Vec<String> = open(ten.join("bin/bootstrap.jar"))
        .file_names()
        .map(|name| name.expect("UTF-8").into_owned())
        .collect();
    let mut libraries =
        ["catalina", "util"].map(|name| open(format!("/usr/share/java/tomcat9-{name}.jar").into()));
    let mut bootstrap = ZipWriter::new(File::create(home.join("bin/bootstrap.jar")).expect("writable"));
    for name in names.iter().filter(|name| !name.ends_with('/') && !name.starts_with("META-INF")) {
        let index = usize::from(libraries[0].index_for_name(name).is_none());
        let mut source = libraries[index].by_name(name).expect("9 has the classes of 10");
        bootstrap.start_file(name.as_str(), SimpleFileOptions::default()).expect("writable");
        std::io::copy(&mut source, &mut bootstrap).expect("copied");
    }
    bootstrap.finish().expect("written");
    let servlet = |name: &str, class: &str, pattern: &str| {
        format!(
            "<servlet><servlet-name>{name}</servlet-name><servlet-class>org.apache.{class}</servlet-class></servlet>
             <servlet-mapping><servlet-name>{name}</servlet-name><url-pattern>{pattern}</url-pattern></servlet-mapping>"
        )
    };
    let web = format!(
        "<web-app xmlns='http://xmlns.jcp.org/xml/ns/javaee' version='4.0'>{}{}
         <welcome-file-list><welcome-file>index.jsp</welcome-file></welcome-file-list></web-app>",
        servlet("default", "catalina.servlets.DefaultServlet", "/"),
        servlet("jsp", "jasper.servlet.JspServlet", "*.jsp"),
    );
    std::fs::write(home.join("conf/web.xml"), web).expect("writable");
}

/// A WAR with a page, and a JSP that tells what it sees.
fn write_war(path: &Path) {
    let page = "<%@ page contentType=\"text/plain;charset=UTF-8\" %><%= application.getServerInfo() %>\n\
        context=<%= application.getContextPath() %>\nhome=<%= System.getProperty(\"user.home\") %>\n\
        name=<%= System.getProperty(\"name\") %>\nunpacked=<%= application.getRealPath(\"/\") != null %>\n\
        <% session.setAttribute(\"a\", \"b\"); getServletContext().log(\"told\"); System.err.println(\"to stderr\"); %>";
    let mut war = ZipWriter::new(File::create(path).expect("writable"));
    for (name, content) in [("index.jsp", page), ("pläin.txt", "a page\n")] {
        war.start_file(name, SimpleFileOptions::default()).expect("writable");
        war.write_all(content.as_bytes()).expect("writable");
    }
    war.finish().expect("written");
}

/// A Tomcat that was assembled and started as in a container.
struct Server {
    root: TempDir,
    scratch: TempDir,
    child: Child,
    port: u16,
}

impl Server {
    /// Assembles with a builder's tree around it, makes all of it read-only, and starts it as a user in group 0.
    fn start(
        runner: Runner,
        version: &str,
        context: &str,
        settings: &[(&str, &str)],
        options: &[&str],
    ) -> Self {
        let (root, upload, scratch) = (open_folder(), open_folder(), open_folder());
        set_mode(scratch.path(), 0o1777);
        for name in ["bin", "tomcat/conf", "tomcat/webapps"] {
            std::fs::create_dir_all(root.path().join(name)).expect("writable");
        }
        for entry in std::fs::read_dir(templates_folder().join("tomcat/files")).expect("readable") {
            let file = entry.expect("readable").path();
            let name = file.file_name().expect("a name");
            std::fs::copy(&file, root.path().join("tomcat/conf").join(name)).expect("copied");
        }
        std::fs::create_dir(upload.path().join("src")).expect("writable");
        write_war(&upload.path().join("src/my shop.war"));
        let mut assemble = runner.command("tomcat", "assemble");
        assemble.env("S2I_DESTINATION", upload.path()).env("APP_ROOT", root.path());
        must_succeed(assemble.env("B2I_CONTEXT_PATH", context));
        must_succeed(Command::new("chmod").args(["-R", "a-w"]).arg(root.path()));

        let port = free_port();
        let mut command = runner.command("tomcat", "run");
        command.env("APP_ROOT", root.path()).env("CATALINA_HOME", HOMES.path().join(version));
        command.env("JAVA_HOME", super::java::java_home()).env("TMPDIR", scratch.path());
        command.env("HOME", "/opt/app-root").env("PORT", port.to_string()).envs(settings.iter().copied());
        command.args(options).current_dir(root.path().join("bin"));
        as_user(&mut command, 1_234_567);
        let log = |name: &str| File::create(scratch.path().join(name)).expect("writable");
        let child = command.stdout(log("stdout")).stderr(log("stderr")).stdin(Stdio::null());
        let child = child.spawn().expect("starts");
        Self { root, scratch, child, port }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.path().join(name)).expect("UTF-8")
    }

    /// The warnings and errors in the log, but for the remark that this machine is slow just now.
    fn complaints(&self) -> Vec<String> {
        let log = self.log("stdout");
        let complaints = log.lines().filter(|line| line.contains(" WARNING ") || line.contains(" SEVERE "));
        complaints.filter(|line| !line.contains("createSecureRandom")).map(str::to_owned).collect()
    }

    /// Asks for a path; none while nobody listens.
    fn ask(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Waits until it is up: Tomcat opens its port only after the applications have started.
    fn wait(&mut self) {
        let begin = Instant::now();
        while self.ask("/").is_none() {
            let ended = self.child.try_wait().expect("a child");
            let late = begin.elapsed() > Duration::from_secs(90);
            assert!(ended.is_none() && !late, "{ended:?} {} {}", self.log("stdout"), self.log("stderr"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The local ports on which the process listens.
    fn listening(&self) -> BTreeSet<u16> {
        let sockets: BTreeSet<String> = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("a process of ours")
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|link| {
                let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
                Some(inode.to_owned())
            })
            .collect();
        // Columns of /proc/net/tcp: number, local address:port, remote address, state (0A: listening), …, 9: inode.
        ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .flat_map(|table| {
                std::fs::read_to_string(table)
                    .unwrap_or_default()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter_map(|line| {
                let columns: Vec<&str> = line.split_whitespace().collect();
                let listening = columns.get(3) == Some(&"0A") && sockets.contains(*columns.get(9)?);
                let port = columns.get(1)?.rsplit_once(':')?.1;
                listening.then(|| u16::from_str_radix(port, 16).ok())?
            })
            .collect()
    }

    /// Stops it as a container is stopped, which must be clean.
    fn stop(&mut self) {
        terminate(&self.child);
        let code = self.child.wait().expect("ends").code();
        assert_eq!(code, Some(143), "{}", self.log("stdout"));
        assert!(self.log("stdout").contains("Stopping service [Catalina]"), "{}", self.log("stdout"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Folders without write permission keep a user without root's rights from removing them.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.root.path()).status();
    }
}

#[test]
fn it_serves_the_war_at_its_context_and_stops_at_once() {
    for (runner, version, context, name) in [
        (Runner::Dash, "9", "/", "Tomcat/9."),
        (Runner::Bash, "10", "/shop/v1", "Tomcat/10.1."),
        (Runner::Busybox, "10", "/", "Tomcat/10.1."),
    ] {
        let settings = [
            ("JAVA_OPTS", "-Dname='of \"JAVA_OPTS\"' -Xmx128m"),
            ("ARGS", "-Dsecret=value '-Dname=of ARGS *'"),
        ];
        let mut server = Server::start(runner, version, context, &settings, &["-Dlast=a b"]);
        server.wait();
        let path = context.trim_end_matches('/');
        let page = server.ask(&format!("{path}/")).expect("an answer");
        assert!(page.contains("200") && page.contains(name), "{page}");
        assert!(page.contains(&format!("context={path}\n")), "{page}");
        assert!(page.contains("home=/opt/app-root\n") && page.contains("name=of ARGS *\n"), "{page}");
        assert!(page.contains("unpacked=false"), "{page}");
        let page = server.ask(&format!("{path}/pl%C3%A4in.txt")).expect("an answer");
        assert!(page.ends_with("a page\n"), "{page}");
        // Nothing tells a stranger the version, and nothing but the WAR is there.
        for missing in ["/no/such/page", "/manager/html", "/host-manager/html", "/examples/"] {
            let page = server.ask(missing).expect("an answer");
            assert!(page.contains(" 404 ") && !page.contains("Tomcat"), "{missing}: {page}");
        }
        assert_eq!(server.listening(), BTreeSet::from([server.port]), "no AJP, no shutdown port");
        server.stop();
        let log = server.log("stdout");
        assert!(log.contains("told") && log.contains("to stderr"), "{log}");
        assert!(!log.contains("secret"), "{log}");
        assert_eq!(server.complaints(), [""; 0]);
        assert_eq!(server.log("stderr"), "", "all of it goes to standard output");
        assert_nothing_written(&server, &["stderr", "stdout", "tomcat"]);
    }
}

#[test]
fn it_unpacks_the_war_when_asked() {
    for (version, context) in [("9", "/shop/v1"), ("10", "/")] {
        let settings = [("TOMCAT_UNPACK_WARS", "true"), ("JAVA_OPTS", "-Xmx128m")];
        let mut server = Server::start(Runner::Dash, version, context, &settings, &[]);
        server.wait();
        let page = server.ask(&format!("{}/index.jsp", context.trim_end_matches('/'))).expect("an answer");
        assert!(page.contains("unpacked=true"), "{page}");
        server.stop();
        assert_eq!(server.complaints(), [""; 0]);
        assert_nothing_written(&server, &["stderr", "stdout", "tomcat"]);
    }
}

/// All that was written lies in the scratch folder, under these names; the image's own folders are as they were.
fn assert_nothing_written(server: &Server, names: &[&str]) {
    let list = |path: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(path).expect("readable");
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
    };
    let found = list(server.scratch.path());
    assert!(found.iter().map(String::as_str).eq(names.iter().copied()), "{found:?}");
    let base = server.root.path().join("tomcat");
    assert_eq!(list(&base), BTreeSet::from(["conf".to_owned(), "webapps".to_owned()]));
    assert_eq!(list(&base.join("conf")).len(), 3);
    assert_eq!(list(&base.join("webapps")).len(), 1);
}

#[test]
fn wrong_settings_are_refused_before_java_starts() {
    let root = open_folder();
    install_script(&root.path().join("bin/binary"), "");
    install_script(&root.path().join("java/bin/java"), PROBE);
    for runner in SHELLS {
        let start = |settings: &[(&str, &str)]| {
            let mut command = runner.command("tomcat", "run");
            command.env("APP_ROOT", root.path()).env("CATALINA_HOME", HOMES.path().join("10"));
            command.env("JAVA_HOME", root.path().join("java")).envs(settings.iter().copied());
            run(&mut command)
        };
        for (name, value, code, text) in [
            ("PORT", "0", 2, "PORT is not a number"),
            ("PORT", "80a", 2, "PORT is not a number"),
            ("TOMCAT_UNPACK_WARS", "maybe", 2, "TOMCAT_UNPACK_WARS is neither"),
            ("ARGS", "'secret", 2, "ARGS has a single quote"),
            ("CATALINA_HOME", "/no/such", 127, "no Tomcat: /no/such/bin/bootstrap.jar"),
            ("APP_ROOT", "/no/such", 127, "/no/such/bin/binary is not there"),
        ] {
            let output = start(&[(name, value)]);
            assert_eq!(output.status.code(), Some(code), "{runner:?} {name}: {output:?}");
            assert!(stderr(&output).contains(text) && !stderr(&output).contains("secret"), "{output:?}");
        }
        let output = start(&[("ARGS", "'a b'"), ("JAVA_OPTS", "-Xss1m")]);
        let options: Vec<String> = probed(&output.stdout)
            .into_iter()
            .map(|option| String::from_utf8(option).expect("UTF-8"))
            .collect();
        let tail = &options[options.len() - 6..];
        assert_eq!(tail[..3], ["-Xss1m", "a b", "-classpath"], "{runner:?}");
        assert!(tail[3].ends_with("/bin/tomcat-juli.jar"), "{runner:?}: {tail:?}");
        assert_eq!(tail[4..], ["org.apache.catalina.startup.Bootstrap", "start"], "{runner:?}");
        assert!(options.contains(&"--add-opens=java.base/java.lang=ALL-UNNAMED".to_owned()), "{options:?}");
        assert!(options.contains(&"-Db2i.port=8080".to_owned()), "{options:?}");
    }
}
