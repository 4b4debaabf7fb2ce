//! Text → words of `ARGS`, by the library and by the launcher's own code. Both see the same words or both refuse, and
//! the memory that the launcher takes is enough.
#![no_main]

use b2i::image::shell_words::{quote, split};
use libfuzzer_sys::fuzz_target;

mod system;
// The launcher's very file; what it expects beside it is in `system` and below.
#[path = "../../../src/launcher/program/run.rs"]
mod run;

use system::{Output, Path, Process};

const ROOT: &[u8] = b"/opt/app-root";
const PATH_LIMIT: usize = 4096;

fuzz_target!(|text: &str| {
    let words = split(text);
    if let Ok(words) = &words {
        assert_eq!(split(&quote(words)).as_ref(), Ok(words));
        assert!(words.iter().map(String::len).sum::<usize>() <= text.len());
    }
    // A variable cannot have a NUL in it.
    if text.contains('\0') {
        return;
    }
    match (words, system::outcome(text, run::run)) {
        (Ok(words), Ok(mut launched)) => {
            assert_eq!(launched.remove(0), b"/opt/app-root/bin/binary");
            assert_eq!(launched.pop().as_deref(), Some(&b"--own"[..]));
            assert!(launched.iter().eq(words.iter().map(String::as_bytes)), "{launched:?} {words:?}");
        }
        (Err(_), Err(2)) => {}
        (library, launcher) => panic!("the library has {library:?}, the launcher {launcher:?}"),
    }
});
