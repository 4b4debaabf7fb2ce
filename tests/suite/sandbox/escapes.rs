//! What a hostile command tries to get out, or to get more than it has. Each way is tried as the image's root and as a
//! user of it, by the programs of busybox and by bare system calls.

use std::sync::OnceLock;

use super::{Setup, Tar, as_everybody};
use b2i::engine::{ContainerSpec, Engine};

/// Calls the system call whose number and arguments it is given, and prints the error number, or 0. Texts are those that
/// begin with `/`, and what follows a `@`.
const TRY: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int count, char **text) {
    long a[7] = {0};
    for (int i = 1; i < count && i < 8; i++)
        a[i - 1] = text[i][0] == '/' ? (long)text[i] : text[i][0] == '@' ? (long)(text[i] + 1) : strtol(text[i], 0, 0);
    long result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    if (result == 0 && (a[0] == SYS_clone || a[0] == SYS_fork)) _exit(0);
    printf("%d\n", result < 0 ? errno : 0);
    return 0;
}
"#;

/// The program, linked statically: the image has no libraries.
fn try_program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (source, program) = (directory.path().join("try.c"), directory.path().join("try"));
        std::fs::write(&source, TRY).expect("writes");
        let mut compiler = std::process::Command::new("gcc");
        let output = compiler.args(["-static", "-O1", "-o"]).arg(&program).arg(&source).output();
        let output = output.expect("gcc is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(&program).expect("compiled")
    })
}

/// A layer with the program, which is root's.
pub(super) fn program(name: &str, mode: u32) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("short");
    header.set_size(try_program().len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    tar.append(&header, try_program()).expect("in memory");
    tar.into_inner().expect("in memory")
}

/// Runs a script with the program at hand, as this user, and gives the lines.
async fn lines(setup: &Setup, script: &str, user: &str) -> Vec<String> {
    let layer = program("bin/try", 0o755);
    let spec = ContainerSpec { user: Some(user.into()), ..setup.spec(script) };
    let container = setup.engine(vec![layer]).create(spec).await.expect("created");
    let before = setup.lines().len();
    container.run(&setup.events()).await.expect("ran");
    container.remove().await.expect("removed");
    setup.lines().split_off(before)
}

/// Tries each call; every one has to fail with EPERM.
async fn refused(setup: &Setup, calls: &[(i64, &str)]) {
    let script: String =
        calls.iter().map(|(number, arguments)| format!("try {number} {arguments};")).collect();
    for user in ["0", "app"] {
        let lines = lines(setup, &script, user).await;
        assert_eq!(lines.len(), calls.len(), "{lines:?}");
        for ((number, _), line) in calls.iter().zip(&lines) {
            assert_eq!(line, "1", "system call {number} as {user}");
        }
    }
}

#[test]
fn nothing_can_be_mounted() {
    as_everybody("sandbox::escapes::nothing_can_be_mounted", async |_| {
        let setup = Setup::new();
        for user in ["0", "app"] {
            let script = "mkdir -p /tmp/m; for c in 'mount -t tmpfs none /tmp/m' 'mount --bind / /tmp/m' 'umount /proc' \
                          'umount -l /dev/null' 'mount -o remount,rw /proc/sys' 'mount -t proc none /tmp/m' \
                          'mount -t overlay none /tmp/m'; do $c 2>/dev/null && echo \"$c\"; done; echo end";
            assert_eq!(lines(&setup, script, user).await, ["end"]);
            // The host's mounts are not there, and nothing tells where the files are.
            let script = "while read -r _ _ _ root point rest; do echo \"$root $point\"; case $rest in \
                          *cache*|*home*) echo \"told: $rest\";; esac; done < /proc/self/mountinfo";
            let mounts = lines(&setup, script, user).await;
            assert!(mounts.iter().any(|mount| mount == "/ /"), "{mounts:?}");
            // Not even the path of the hosts file in the cache, which has the name of the user.
            assert!(mounts.iter().any(|mount| mount == "/hosts /etc/hosts"), "{mounts:?}");
            let is_known = |mount: &str| {
                let point = mount.split(' ').nth(1).unwrap_or_default();
                point == "/"
                    || point == "/etc/hosts"
                    || point.starts_with("/proc")
                    || point.starts_with("/dev")
            };
            assert!(mounts.iter().all(|mount| is_known(mount) && !mount.starts_with("told")), "{mounts:?}");
        }
        refused(
            &setup,
            &[
                (libc::SYS_mount, "/tmp /tmp /tmpfs 0 0"),
                (libc::SYS_mount, "/ /tmp 0 4096 0"),
                (libc::SYS_umount2, "/proc 2"),
                (libc::SYS_fsopen, "/tmpfs 0"),
                (libc::SYS_open_tree, "-100 / 1"),
                (libc::SYS_move_mount, "-100 / -100 /tmp 0"),
                (libc::SYS_mount_setattr, "-100 / 0 0 0"),
                (libc::SYS_pivot_root, "/tmp /tmp"),
                (libc::SYS_chroot, "/tmp"),
            ],
        )
        .await;
    });
}

#[test]
fn no_namespaces_can_be_made_or_entered() {
    as_everybody("sandbox::escapes::no_namespaces_can_be_made_or_entered", async |_| {
        let setup = Setup::new();
        let flags: Vec<String> = [
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
            libc::CLONE_NEWIPC,
        ]
        .iter()
        .map(|flag| format!("{:#x}", flag | libc::SIGCHLD))
        .collect();
        let mut calls =
            vec![(libc::SYS_unshare, "0x10000000"), (libc::SYS_unshare, "0x20000"), (libc::SYS_setns, "0 0")];
        calls.extend(flags.iter().map(|flag| (libc::SYS_clone, flag.as_str())));
        refused(&setup, &calls).await;
        // The flags of `clone3` are where the filter cannot see them, so it is not there.
        let script = format!("try {} 0 0; try {} /a 0", libc::SYS_clone3, 0x4000_0000_u32 | 165);
        let not_there = libc::ENOSYS.to_string();
        assert_eq!(lines(&setup, &script, "0").await, [not_there.clone(), not_there]);
    });
}

#[test]
fn dangerous_system_calls_are_refused() {
    as_everybody("sandbox::escapes::dangerous_system_calls_are_refused", async |_| {
        let setup = Setup::new();
        refused(
            &setup,
            &[
                (libc::SYS_keyctl, "0 -3 1"),
                (libc::SYS_add_key, "/user /name /data 4 -3"),
                (libc::SYS_request_key, "/user /name 0 -3"),
                (libc::SYS_bpf, "0 0 0"),
                (libc::SYS_perf_event_open, "0 0 -1 -1 0"),
                (libc::SYS_userfaultfd, "1"),
                (libc::SYS_io_uring_setup, "1 0"),
                (libc::SYS_ptrace, "0 0 0 0"),
                (libc::SYS_process_vm_readv, "1 0 0 0 0 0"),
                (libc::SYS_open_by_handle_at, "-100 0 0"),
                (libc::SYS_name_to_handle_at, "-100 / 0 0 0"),
                (libc::SYS_kexec_load, "0 0 0 0"),
                (libc::SYS_init_module, "0 0 0"),
                (libc::SYS_finit_module, "0 0 0"),
                (libc::SYS_delete_module, "/x 0"),
                (libc::SYS_reboot, "0xfee1dead 0x28121969 0 0"),
                (libc::SYS_swapon, "/tmp 0"),
                (libc::SYS_syslog, "3 0 0"),
                (libc::SYS_settimeofday, "0 0"),
                (libc::SYS_sethostname, "/x 1"),
                (libc::SYS_acct, "/tmp"),
                (libc::SYS_quotactl, "0 0 0 0"),
                (libc::SYS_personality, "0x0040000"),
                (libc::SYS_socket, "40 1 0"),
                (libc::SYS_socket, "38 5 0"),
                (libc::SYS_ioctl, "0 0x5412 /x"),
            ],
        )
        .await;
    });
}

#[test]
fn proc_tells_and_changes_nothing_of_the_host() {
    as_everybody("sandbox::escapes::proc_tells_and_changes_nothing_of_the_host", async |_| {
        let setup = Setup::new();
        let before = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("reads");
        for user in ["0", "app"] {
            // Process 1 is the shell itself: of what is around it nothing is seen.
            let script = "for f in sys/kernel/core_pattern sys/kernel/hostname sys/vm/drop_caches sysrq-trigger \
                          sys/kernel/ns_last_pid sys/user/max_user_namespaces; do \
                          (echo x > /proc/$f) 2>/dev/null && echo \"wrote $f\"; done; \
                          for f in kcore keys timer_list sched_debug; do head -c 1 /proc/$f 2>/dev/null; done; \
                          ls /proc/scsi /proc/acpi 2>/dev/null | grep -v : | grep .; \
                          cat /proc/[0-9]*/cmdline 2>/dev/null | grep '__sand[b]ox'; \
                          while read -r key value; do case $key in PPid:) [ $value = 0 ] || echo \"$value\";; esac; done \
                          < /proc/1/status; ls -d /proc/[0-9]* | wc -l; ls /sys 2>/dev/null; \
                          grep -v ':/$' /proc/self/cgroup; echo end";
            let lines = lines(&setup, script, user).await;
            // The shell, and those that count.
            let count: u32 = lines[0].trim().parse().unwrap_or_else(|_| panic!("{user}: {lines:?}"));
            assert!(count <= 6, "{lines:?}");
            assert_eq!(lines[1..], ["end"], "{user}: {lines:?}");
        }
        assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").expect("reads"), before);
    });
}

#[test]
fn no_devices_but_harmless_ones() {
    as_everybody("sandbox::escapes::no_devices_but_harmless_ones", async |_| {
        let setup = Setup::new();
        for user in ["0", "app"] {
            let script = "ls /dev; cd /tmp; mknod d b 259 0 2>/dev/null && echo block; mknod m c 1 1 2>/dev/null && echo mem; \
                          mknod w c 0 0 2>/dev/null && echo whiteout; echo x > /dev/null; head -c 2 /dev/zero | wc -c; \
                          head -c 2 /dev/urandom | wc -c; (echo > /dev/full) 2>/dev/null || echo full; \
                          touch /dev/shm/x && echo shared";
            let lines = lines(&setup, script, user).await;
            let expected = [
                "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
                "urandom", "zero", "2", "2", "full", "shared",
            ];
            assert_eq!(lines, expected, "{user}");
        }
    });
}

#[test]
fn nobody_gains_rights() {
    as_everybody("sandbox::escapes::nobody_gains_rights", async |who| {
        let setup = Setup::new();
        let script = format!(
            "set-id {} 0; while read -r key value; do case $key in \
             NoNew*|CapBnd:|CapEff:|CapPrm:|CapInh:|CapAmb:|Seccomp:) echo \"$key $value\";; esac; \
             done < /proc/self/status",
            libc::SYS_setuid
        );
        let layer = program("bin/set-id", 0o6755);
        for (user, effective) in [("app", "0000000000000000"), ("0", "00000000000000fb")] {
            let spec = ContainerSpec { user: Some(user.into()), ..setup.spec(&script) };
            let container = setup.engine(vec![layer.clone()]).create(spec).await.expect("created");
            let before = setup.lines().len();
            container.run(&setup.events()).await.expect("ran");
            container.remove().await.expect("removed");
            let mut lines = setup.lines().split_off(before);
            // Of the set-id bit nothing is left: only root may become root.
            assert_eq!(lines.remove(0) == "0", user == "0", "{lines:?}");
            let expected = [
                "CapInh: 0000000000000000".to_owned(),
                format!("CapPrm: {effective}"),
                format!("CapEff: {effective}"),
                "CapBnd: 00000000000000fb".into(),
                "CapAmb: 0000000000000000".into(),
                "NoNewPrivs: 1".into(),
                "Seccomp: 2".into(),
            ];
            assert_eq!(lines, expected, "{who:?}");
        }
    });
}

/// Ignores signals in this process, also those that the C library has for itself.
fn ignore_signals(signals: &[i32]) {
    for signal in signals {
        let ignore: [usize; 8] = [libc::SIG_IGN, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: the kernel's structure is smaller than the local, which lives until the call returns.
        #[expect(unsafe_code, reason = "the C library refuses its own signals")]
        let done = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                *signal,
                ignore.as_ptr(),
                std::ptr::null_mut::<usize>(),
                8_usize,
            )
        };
        assert_eq!(done, 0, "signal {signal}");
    }
}

#[test]
fn nothing_of_the_host_is_inherited() {
    as_everybody("sandbox::escapes::nothing_of_the_host_is_inherited", async |_| {
        let setup = Setup::new();
        ignore_signals(&[libc::SIGHUP, 33, 40, 64]);
        let script = "exec grep SigIgn: /proc/self/status";
        assert_eq!(lines(&setup, script, "0").await, ["SigIgn:\t0000000000000000"]);
        let script = "for f in /proc/self/fd/*; do echo ${f##*/}; done; env | grep -v '^\\(PATH\\|HOME\\|HOSTNAME\\|OWN\\|PWD\\|SHLVL\\|_\\)='";
        let lines = lines(&setup, script, "0").await;
        // The fourth is the list itself, which the shell has open.
        assert!(lines == ["0", "1", "2"] || lines == ["0", "1", "2", "3"], "{lines:?}");
    });
}

#[test]
fn the_layers_stay_as_they_are() {
    as_everybody("sandbox::escapes::the_layers_stay_as_they_are", async |_| {
        let setup = Setup::new();
        let script = "echo changed > /etc/passwd; rm -rf /home; chmod 777 /etc; chmod 777 /";
        assert_eq!(setup.run(script, "0").await.0.exit_code, 0);
        let (_, lines) = setup.run("head -n 1 /etc/passwd; ls -d /home; stat -c %a /etc /", "0").await;
        assert_eq!(lines, ["root:x:0:0::/root:/bin/sh", "/home", "755", "755"]);
    });
}

#[test]
fn there_is_no_network_unless_it_is_asked_for() {
    as_everybody("sandbox::escapes::there_is_no_network_unless_it_is_asked_for", async |_| {
        let setup = Setup::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
        let port = listener.local_addr().expect("an address").port();
        let script = format!(
            "while read -r name rest; do case $name in *:) echo $name;; esac; done < /proc/net/dev; \
             nc -w 5 127.0.0.1 {port} < /dev/null && echo connected; \
             nc -l -p 4000 127.0.0.1 < /dev/null & \
             {} nc -w 5 127.0.0.1 4000 < /dev/null && echo itself",
            super::ONCE_LISTENING.replace("PORT", "0FA0"),
        );
        let (_, lines) = setup.run(&script, "0").await;
        assert!(!lines.contains(&"connected".to_owned()), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| line.ends_with(':')).collect::<Vec<_>>(), ["lo:"]);
        assert!(lines.contains(&"itself".to_owned()), "loopback does not work: {lines:?}");
        let accepted = std::thread::spawn(move || listener.accept().map(|_| ()));
        let spec = ContainerSpec {
            network: Some("host".into()),
            ..setup.spec(&format!("nc -w 20 127.0.0.1 {port} < /dev/null && echo connected"))
        };
        let (_, lines) = setup.run_spec(spec).await.expect("ran");
        assert_eq!(lines, ["connected"]);
        accepted.join().expect("no panic").expect("accepted");
        // The host's settings for names are there, and no change of the container's.
        let spec = ContainerSpec {
            network: Some("host".into()),
            user: Some("0".into()),
            ..setup.spec("cat /etc/resolv.conf; echo x > /etc/resolv.conf; true")
        };
        let container = setup.engine(Vec::new()).create(spec).await.expect("created");
        let before = setup.lines().len();
        container.run(&setup.events()).await.expect("ran");
        let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        if !host.is_empty() {
            assert_eq!(setup.lines()[before], host.lines().next().unwrap_or_default());
        }
        assert_eq!(std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), host);
        let changes = container.take_changes(&setup.events()).await.expect("taken");
        container.remove().await.expect("removed");
        let found = super::found(&changes);
        assert!(!found.contains_key("etc/resolv.conf") && !found.contains_key("etc"), "{:?}", found.keys());
        let spec = ContainerSpec { network: Some("bridge".into()), ..setup.spec("true") };
        setup.run_spec(spec).await.expect_err("there is no such network here");
    });
}

#[test]
fn links_of_the_command_lead_nobody_out() {
    as_everybody("sandbox::escapes::links_of_the_command_lead_nobody_out", async |_| {
        let setup = Setup::new();
        let secret = setup.root().join("secret");
        std::fs::write(&secret, "secret").expect("writes");
        let name = secret.display();
        let up = "../".repeat(20);
        let script = format!(
            "mkdir -p /tmp/d; ln -s {name} /tmp/file; ln -s {up} /tmp/up; ln -s / /tmp/root; ln -s /proc/self/root /tmp/magic; \
             ln -s {} /tmp/directory; rm -f /etc/passwd; ln -s {name} /etc/passwd",
            setup.root().display()
        );
        let spec = ContainerSpec { user: Some("0".into()), ..setup.spec(&script) };
        let container = setup.engine(vec![]).create(spec).await.expect("created");
        assert_eq!(container.run(&setup.events()).await.expect("ran").exit_code, 0);
        for place in [
            "/tmp/file".to_owned(),
            "/etc/passwd".into(),
            format!("/tmp/up{name}"),
            format!("/tmp/root{name}"),
            format!("/tmp/magic{name}"),
            "/tmp/directory/secret".into(),
        ] {
            let read = container.download(&super::path(&place), 1000).await;
            assert!(!matches!(read, Ok(Some(_))), "{place}: {read:?}");
        }
        let tar = Tar::new().file("tmp/directory/secret", 0o644, (0, 0), "changed").finish();
        let stream = futures_util::stream::iter([Ok(bytes::Bytes::from(tar))]);
        let _ = container.upload(&super::path("/"), Box::pin(stream)).await;
        container.remove().await.expect("removed");
        assert_eq!(std::fs::read_to_string(&secret).expect("reads"), "secret");
    });
}
