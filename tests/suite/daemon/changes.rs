//! What of a container's change gets into the layer: what the script did, and nothing that the daemon did.

use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;

/// Files, directories and links of every kind, in the directories where a daemon mounts things too, and what is gone.
/// The base has neither of these directories but `/etc` and `/tmp`.
const SCRIPT: &str = "set -e
    mkdir -p /run/mine /etc/own /srv/empty
    echo text > /run/mine/file
    echo text > /etc/own/hosts
    busybox ln /etc/own/hosts /etc/own/second
    busybox ln -s /proc/mounts /srv/mtab
    busybox rm /bin/printf
    busybox touch /srv/empty/.containerenv
    busybox chmod 4750 /etc/own/hosts
    busybox chown 12:34 /srv/empty";

/// One line for each entry of a layer, sorted.
async fn entries(setup: &Setup, image_id: &str, top: &Digest) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let layers = setup.daemon.layers(image_id, std::slice::from_ref(top), directory.path()).await;
    let layers = layers.expect("exported");
    let file = std::fs::File::open(&layers[0].path).expect("there");
    let mut lines = Vec::new();
    for entry in tar::Archive::new(file).entries().expect("a tar") {
        let mut entry = entry.expect("whole");
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        let header = entry.header();
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_end_matches('/').to_owned();
        // That something is gone is said by the name alone.
        let mode = if path.contains("/.wh.") { 0 } else { header.mode().expect("a mode") & 0o7777 };
        lines.push(format!(
            "{path} {mode:o} {}:{} {:?} {link:?} {text:?}",
            header.uid().expect("a number"),
            header.gid().expect("a number"),
            header.entry_type(),
        ));
    }
    lines.sort();
    lines
}

/// Runs the script as root on `daemon`, which reaches the one of `setup`, and lists what it changed.
async fn changed(setup: &Setup, daemon: &Daemon, network: Option<&str>) -> Vec<String> {
    let engine = DockerEngine::new(daemon.clone(), setup.spool.path().to_owned());
    let spec = ContainerSpec {
        user: Some("0:0".into()),
        network: network.map(str::to_owned),
        ..setup.spec(&["/bin/sh", "-c", SCRIPT])
    };
    let silent = Events::silent();
    let container = engine.create(spec).await.expect("created");
    let ended = container.run(&silent).await.expect("ran");
    assert_eq!(ended.exit_code, 0, "{:?}", ended.last_lines);
    let Diff::Committed { image_id, diff_ids } = container.take_changes(&silent).await.expect("committed")
    else {
        panic!("the Docker engine commits");
    };
    container.remove().await.expect("removed");
    let base = setup.resolve().await.config.diff_ids().expect("valid");
    let (top, below) = diff_ids.split_last().expect("a layer");
    assert_eq!(below, base);
    assert_eq!(std::fs::read_dir(setup.spool.path()).expect("there").count(), 0, "a spooled layer stays");
    let lines = entries(setup, &image_id, top).await;
    let lease = std::slice::from_ref(&setup.context.lease);
    remove_leftovers(&setup.daemon, lease).await.expect("removed");
    lines
}

#[tokio::test]
async fn a_layer_has_what_the_script_did_and_nothing_of_the_daemon() {
    let [docker, podman] = Setup::both().await;
    // With a network, a place for `/etc/resolv.conf` is made too.
    for network in [None, Some("host")] {
        let expected = changed(&docker, &docker.daemon, network).await;
        let found = changed(&podman, &podman.daemon, network).await;
        assert_eq!(found, expected, "{network:?}");
        for path in
            ["run/mine/file 644 0:0", "etc/own/hosts 4750 0:0", "bin/.wh.printf", "srv/empty 755 12:34"]
        {
            assert!(found.iter().any(|line| line.starts_with(path)), "{path} is not in {found:#?}");
        }
        for path in ["etc/hosts", "etc/mtab", "dev", "proc", "run/.containerenv"] {
            assert!(
                !found.iter().any(|line| line.starts_with(&format!("{path} "))),
                "{path} is in {found:#?}"
            );
        }
    }
    docker.clean_up().await;
    podman.clean_up().await;
}

#[tokio::test]
async fn a_daemon_that_takes_no_archive_without_the_other_layers_gets_them_all() {
    let [docker, podman] = Setup::both().await;
    let expected = changed(&docker, &docker.daemon, None).await;
    // The layer alone, then the rest of it without the base's.
    let left = Arc::new(Mutex::new(2));
    let address = refusing(podman.daemon.info().address.clone(), left.clone()).await;
    let settings = DaemonSettings { host: Some(address), ..DaemonSettings::default() };
    let daemon = Daemon::find(&settings).await.expect("the daemon answers").expect("it is configured");
    assert_eq!(changed(&podman, &daemon, None).await, expected);
    assert_eq!(*left.lock().expect("not poisoned"), 0, "archives were refused");
    docker.clean_up().await;
    podman.clean_up().await;
}

/// Serves a daemon at an address of its own, but refuses as many archives as `left` says.
async fn refusing(address: String, left: Arc<Mutex<usize>>) -> String {
    let socket = address.strip_prefix("unix://").expect("the test daemon has a socket").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = format!("tcp://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let daemon = UnixStream::connect(&socket).await.expect("the daemon answers");
            tokio::spawn(relay(client, daemon, left.clone()));
        }
    });
    own
}

/// Relays one connection. A client sends a request only after the answer to the one before, so each begins a piece.
async fn relay(client: TcpStream, daemon: UnixStream, left: Arc<Mutex<usize>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_daemon, mut to_daemon) = daemon.into_split();
    let answers = tokio::spawn(async move {
        let _ = copy(&mut from_daemon, &mut to_client).await;
        to_client
    });
    let mut piece = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from_client.read(&mut piece).await {
        let request = String::from_utf8_lossy(&piece[..count.min(64)]).into_owned();
        let refused = request.starts_with("POST") && request.contains("/images/load") && {
            let mut left = left.lock().expect("not poisoned");
            let refused = *left > 0;
            *left -= usize::from(refused);
            refused
        };
        if refused {
            drop(to_daemon);
            let mut to_client = answers.await.expect("it ends with the connection");
            let answer = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\
                          Content-Length: 32\r\nConnection: close\r\n\r\n{\"message\":\"layers are missing\"}";
            let _ = to_client.write_all(answer.as_bytes()).await;
            // What is still sent is read, so that the answer is not lost with a reset.
            while let Ok(1..) = from_client.read(&mut piece).await {}
            return;
        }
        if to_daemon.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}
