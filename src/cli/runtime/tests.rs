//! Tests of signals: one test, because a signal reaches every runtime of the process.

use std::sync::{Arc, Mutex};

use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::events::{Event, Events};
use crate::host::Host;

fn send(signal: Signal) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        kill_process(getpid(), signal).expect("a process may signal itself");
    });
}

#[test]
fn signals_stop_work_or_are_handed_on() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notes);
    let events = Events::new(move |event| {
        if let Event::Note { message } = event {
            seen.lock().expect("no thread panicked").push(message);
        }
    });
    let session = Host::new("unused").session(events);
    let mut runtime = Runtime::start().expect("starting");

    let finished: Result<u8, CliError> = runtime.run(&session, async { Ok::<_, CliError>(7) });
    assert_eq!(finished.expect("it did not fail"), 7);

    // A guard as temporary files and containers have it: dropping the work drops it.
    struct Guard(Arc<Mutex<Vec<String>>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.lock().expect("no thread panicked").push("dropped".into());
        }
    }
    let guard = Guard(Arc::clone(&notes));
    send(Signal::TERM);
    let stopped: Result<(), CliError> = runtime.run(&session, async move {
        let _guard = guard;
        std::future::pending::<Result<(), CliError>>().await
    });
    assert_eq!(stopped.expect_err("it was stopped").exit_code(), 143);
    let notes = notes.lock().expect("no thread panicked").clone();
    assert_eq!(notes, ["dropped", "stopping and cleaning up; interrupt again to exit at once"]);

    send(Signal::USR1);
    let name = runtime.run_with_signals(&session, |mut signals| async move {
        signals.recv().await.ok_or_else(|| CliError::usage("no signal came"))
    });
    assert_eq!(name.expect("one came"), "SIGUSR1");
}
