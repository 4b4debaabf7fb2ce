//! Owns splitting a container's output into lines: bounded and decoded. The last lines are stored for errors. Must
//! not know where the bytes come from.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use crate::events::{Event, Events, ScriptStream};
use crate::fs::path::cut;

/// Longer lines are split; in bytes.
const MAXIMUM_LINE: usize = 64 * 1024;

const LAST_LINES: usize = 20;

/// Longest line of an error message, in bytes.
const MAXIMUM_KEPT: usize = 4 * 1024;

pub(in crate::engine) struct Output<'a> {
    events: &'a Events,
    /// The file that gets the standard output unchanged, until a write fails.
    file: Option<Arc<File>>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Output<'a> {
    pub(in crate::engine) fn new(events: &'a Events) -> Self {
        Self { events, file: None, stdout: Vec::new(), stderr: Vec::new(), last: VecDeque::new() }
    }

    /// Writes the standard output to `file`, if there is one, instead of events.
    pub(in crate::engine) fn to(self, file: Option<Arc<File>>) -> Self {
        Self { file, ..self }
    }

    /// Adds bytes and sends each complete line.
    pub(in crate::engine) fn add(&mut self, stream: ScriptStream, bytes: &[u8]) {
        if let (ScriptStream::Stdout, Some(file)) = (stream, &self.file) {
            if let Err(error) = (&**file).write_all(bytes) {
                // The reader of the file detects the missing end.
                tracing::warn!(%error, "cannot write the output of a command");
            }
            return;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = part;
            while !rest.is_empty() {
                let buffer = self.buffer(stream);
                let count = rest.len().min(MAXIMUM_LINE - buffer.len());
                buffer.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
                if buffer.ends_with(b"\n") {
                    let line = std::mem::take(buffer);
                    self.send(stream, &line);
                } else if buffer.len() >= MAXIMUM_LINE {
                    let line = std::mem::take(buffer);
                    // A split character moves to the next piece.
                    let whole = line.len() - unfinished_character(&line);
                    self.buffer(stream).extend_from_slice(&line[whole..]);
                    self.send(stream, &line[..whole]);
                }
            }
        }
    }

    /// Sends the rest without a line end, and returns the last lines, oldest first.
    pub(in crate::engine) fn finish(mut self) -> Vec<String> {
        for stream in [ScriptStream::Stdout, ScriptStream::Stderr] {
            let tail = std::mem::take(self.buffer(stream));
            if !tail.is_empty() {
                self.send(stream, &tail);
            }
        }
        self.last.into()
    }

    fn buffer(&mut self, stream: ScriptStream) -> &mut Vec<u8> {
        match stream {
            ScriptStream::Stdout => &mut self.stdout,
            ScriptStream::Stderr => &mut self.stderr,
        }
    }

    fn send(&mut self, stream: ScriptStream, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = String::from_utf8_lossy(line).into_owned();
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(cut(&line, MAXIMUM_KEPT).to_owned());
        self.events.send(Event::ScriptOutput { stream, line });
    }
}

/// The number of bytes of an incomplete UTF-8 character at the end.
fn unfinished_character(bytes: &[u8]) -> usize {
    let tail = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let is_incomplete = str::from_utf8(tail).is_err_and(|error| error.error_len().is_none());
    if is_incomplete { tail.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn lines(pieces: &[(ScriptStream, &[u8])]) -> (Vec<(ScriptStream, String)>, Vec<String>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let receiver = seen.clone();
        let events = Events::new(move |event| {
            if let Event::ScriptOutput { stream, line } = event {
                receiver.lock().expect("not poisoned").push((stream, line));
            }
        });
        let mut output = Output::new(&events);
        for (stream, bytes) in pieces {
            output.add(*stream, bytes);
        }
        let last = output.finish();
        let seen = std::mem::take(&mut *seen.lock().expect("not poisoned"));
        (seen, last)
    }

    #[test]
    fn lines_of_both_streams_stay_apart_and_the_tail_is_not_lost() {
        use ScriptStream::{Stderr, Stdout};
        let (seen, _) = lines(&[(Stdout, b"a"), (Stderr, b"x\r\n"), (Stdout, b"b\n\ntail")]);
        let expected = [(Stderr, "x"), (Stdout, "ab"), (Stdout, ""), (Stdout, "tail")];
        assert_eq!(seen, expected.map(|(stream, line)| (stream, line.to_owned())));
    }

    #[test]
    fn a_line_without_end_is_split_between_characters() {
        let long = "ü".repeat(MAXIMUM_LINE);
        let (seen, last) = lines(&[(ScriptStream::Stdout, format!("x{long}").as_bytes())]);
        assert!(seen.iter().all(|(_, line)| line.len() <= MAXIMUM_LINE && !line.contains('\u{fffd}')));
        let joined: String = seen.into_iter().map(|(_, line)| line).collect();
        assert_eq!(joined, format!("x{long}"));
        assert!(last.iter().all(|line| line.len() <= MAXIMUM_KEPT));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_the_last_lines_are_kept() {
        let mut bytes = b"\xff\xfe\n".to_vec();
        for number in 0..30 {
            bytes.extend_from_slice(format!("{number}\n").as_bytes());
        }
        let (seen, last) = lines(&[(ScriptStream::Stderr, &bytes)]);
        assert_eq!(seen[0].1, "\u{fffd}\u{fffd}");
        assert_eq!(last.len(), LAST_LINES);
        assert_eq!((last[0].as_str(), last[19].as_str()), ("10", "29"));
    }
}
