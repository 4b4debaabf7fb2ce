//! Leases and abandoned ones together.

use super::super::abandoned::{AbandonedLease, abandoned};
use super::*;

/// Ends like a killed process: the lock is gone, nothing is cleaned up.
fn kill(lease: Lease) {
    let lease = std::mem::ManuallyDrop::new(lease);
    lease.state.lock().expect("not poisoned").file.unlock().expect("unlocks");
}

#[test]
fn cleans_up_after_itself() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let outside = tempfile::tempdir().expect("temporary directory");
    let lease = Lease::acquire(cache.path()).expect("acquires");
    let partial = lease.partial_path(&outside.path().join("app.tar"));
    assert_eq!(
        partial.file_name().and_then(|name| name.to_str()),
        Some(format!(".app.tar.b2i-{}.partial", lease.id()).as_str())
    );
    lease.create(&partial, || Ok(())).expect("records");
    fs::write(&partial, "x").expect("writes");
    fs::write(lease.temporary_directory().join("a"), "x").expect("writes");
    assert!(abandoned(cache.path()).is_empty(), "a live lease is nobody else's");
    drop(lease);
    assert!(!partial.exists());
    assert_eq!(fs::read_dir(cache.path().join("tmp")).expect("lists").count(), 0);
    assert_eq!(fs::read_dir(cache.path().join("leases")).expect("lists").count(), 0);
}

#[test]
fn what_is_released_is_gone_while_somebody_still_has_the_lease() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let outside = tempfile::tempdir().expect("temporary directory");
    let lease = Lease::acquire(cache.path()).expect("acquires");
    let partial = lease.partial_path(&outside.path().join("app.tar"));
    let write = || fs::write(&partial, "x").map_err(|error| FileError::new("write to", &partial, error));
    lease.create(&partial, write).expect("creates");
    lease.release();
    assert!(!partial.exists() && !lease.temporary_directory().exists());
    assert_eq!(fs::read_dir(cache.path().join("leases")).expect("lists").count(), 0);
    // A thread that goes on for a moment makes nothing that would stay.
    lease.create(&partial, write).expect_err("refused");
    lease.create_temporary_directory("late").expect_err("refused");
    assert!(!lease.temporary_directory().exists());
    assert!(!partial.exists());
}

#[test]
fn a_later_run_cleans_up_after_a_killed_one_and_touches_nothing_else() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let outside = tempfile::tempdir().expect("temporary directory");
    let killed = Lease::acquire(cache.path()).expect("acquires");
    let alive = Lease::acquire(cache.path()).expect("acquires");
    let id = killed.id().to_owned();
    let temporary = killed.temporary_directory().to_owned();
    let partial = killed.partial_path(&outside.path().join("a\nb%.tar"));
    killed.create(&partial, || Ok(())).expect("records");
    fs::create_dir_all(partial.join("blobs")).expect("creates");
    kill(killed);

    let found = abandoned(cache.path());
    assert_eq!(found.iter().map(AbandonedLease::id).collect::<Vec<_>>(), [id]);
    assert!(abandoned(cache.path()).is_empty(), "one process cleans, the other sees nothing");
    for lease in found {
        lease.remove().expect("removes");
    }
    assert!(!partial.exists() && !temporary.exists());
    assert!(alive.temporary_directory().exists());
    assert!(abandoned(cache.path()).is_empty());
}

#[test]
fn never_removes_what_does_not_carry_the_id() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let precious = cache.path().join("precious");
    fs::write(&precious, "x").expect("writes");
    let lease = Lease::acquire(cache.path()).expect("acquires");
    lease.create(&precious, || Ok(())).expect_err("refused");
    let line = format!("{}\n", precious.display());
    lease.state.lock().expect("not poisoned").file.write_all(line.as_bytes()).expect("writes");
    kill(lease);
    for lease in abandoned(cache.path()) {
        lease.remove().expect("removes");
    }
    assert!(precious.exists());
}

#[test]
fn leaves_other_formats_alone_and_takes_a_cut_header_as_its_own() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let leases = CacheDirectory::open(cache.path()).expect("opens").shared(LEASES).expect("creates");
    fs::write(leases.join("0123456789abcdef"), "b2i lease 2\n{}").expect("writes");
    fs::write(leases.join("README"), "x").expect("writes");
    assert!(abandoned(cache.path()).is_empty());
    fs::write(leases.join("fedcba9876543210"), "b2i le").expect("writes");
    fs::write(leases.join("fedcba9876543211"), "").expect("writes");
    assert_eq!(abandoned(cache.path()).len(), 2);
}

#[test]
fn long_names_stay_within_what_file_systems_allow() {
    let cache = tempfile::tempdir().expect("temporary directory");
    let lease = Lease::acquire(cache.path()).expect("acquires");
    let partial = lease.partial_path(&Path::new("/x").join("ä".repeat(127)));
    assert!(partial.file_name().expect("has one").len() <= 255);
    assert!(belongs_to(&partial, lease.id()));
}

#[test]
fn many_processes_may_take_leases_and_clean_at_once() {
    let cache = tempfile::tempdir().expect("temporary directory");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..25 {
                    let lease = Lease::acquire(cache.path()).expect("acquires");
                    fs::write(lease.temporary_directory().join("a"), "x").expect("writes");
                    if round % 2 == 0 {
                        kill(lease);
                    }
                    for lease in abandoned(cache.path()) {
                        lease.remove().expect("removes");
                    }
                }
            });
        }
    });
    assert!(abandoned(cache.path()).is_empty());
    assert_eq!(fs::read_dir(cache.path().join("tmp")).expect("lists").count(), 0);
}

/// As on a file system whose `flock` always answers that another process has the lock.
#[test]
fn a_file_system_whose_locks_always_fail_is_refused_after_some_tries() {
    let leases = tempfile::tempdir().expect("temporary directory");
    let tries = std::cell::Cell::new(0);
    let result = create_unused(leases.path(), |_| {
        tries.set(tries.get() + 1);
        Ok(None)
    });
    let error = result.expect_err("no file was locked");
    assert!(error.to_string().contains("file locks do not work"), "{error}");
    assert_eq!(tries.get(), 16);
}

#[test]
fn a_taken_lock_leaves_no_file() {
    let leases = tempfile::tempdir().expect("temporary directory");
    let path = leases.path().join("0123456789abcdef");
    // The lock is taken between creation and lock: only a process that cleans up does this.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                if let Ok(file) = File::open(&path) {
                    let _ = file.try_lock();
                }
            }
        });
        for _ in 0..200 {
            drop(create_locked(&path).expect("no other error"));
            let _ = fs::remove_file(&path);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(leases.path()).expect("lists").count(), 0);
}

#[test]
fn a_lease_says_whether_a_daemon_may_have_containers() {
    let cache = tempfile::tempdir().expect("temporary directory");
    kill(Lease::acquire(cache.path()).expect("acquires"));
    let with_daemon = Lease::acquire(cache.path()).expect("acquires");
    with_daemon.record_daemon().and_then(|()| with_daemon.record_daemon()).expect("records");
    let id = with_daemon.id().to_owned();
    kill(with_daemon);
    let leases = abandoned(cache.path());
    assert_eq!(leases.len(), 2);
    for lease in leases {
        assert_eq!(lease.has_daemon(), lease.id() == id);
        lease.remove_files().expect("removes");
        assert!(!lease.temporary_directory().exists());
    }
    assert_eq!(abandoned(cache.path()).len(), 2, "the leases stay");
}
