//! Owns `run`: the words of ARGS, and the start of the program.

use crate::system::{self, Errno, Kind};
use crate::{Output, PATH_LIMIT, Path, Process, ROOT};

/// Replaces this process by the program, with the words of ARGS and the container's arguments.
pub(crate) fn run(process: &Process) -> ! {
    let program = Path::of(b"run", &[process.variable_or(b"APP_ROOT", ROOT), b"/bin/binary"]);
    let fail = || {
        let mut output = Output::new(b"run");
        output.name(program.bytes());
        output
    };
    match system::status(system::HERE, program.text(), true) {
        Err(_) => fail().text(b" is not there: run assemble first (see usage)").end(127),
        Ok(status) if status.kind == Kind::Directory => {
            fail().text(b" is a directory, not a program").end(126)
        }
        Ok(_) => {}
    }
    let program = own_place(program, process);
    let fail = || {
        let mut output = Output::new(b"run");
        output.name(program.bytes());
        output
    };
    if !system::may_execute(program.text()) {
        fail().text(b" is not executable for user ").number(system::user()).end(126);
    }

    let value = process.variable(b"ARGS");
    let own = process.argument(0).bytes();
    // S2I sets the path of this program as the container's command. With the entrypoint of the template, it is the
    // first argument.
    let skipped = if process.arguments.len() > 1 && process.argument(1).bytes() == own { 2 } else { 1 };
    // A word needs at least one byte of the value and a blank. Its NUL needs no more than that blank.
    let pointers = 1 + value.len() / 2 + 1 + process.arguments.len() + 1;
    let (mut vector, text) = match system::memory(pointers, value.len() + 1) {
        Ok((pointers, text)) => (Vector { pointers, length: 0 }, text),
        Err(error) => Output::new(b"run").text(b"no memory for the arguments").because(error, 126),
    };
    vector.push(program.text().0.as_ptr());
    if let Err(what) = split(value, text, &mut vector) {
        Output::new(b"run").text(b"ARGS ").text(what).text(b"; its value is not shown").end(2);
    }
    for argument in process.arguments.iter().skip(skipped) {
        vector.push(*argument);
    }
    let error = system::execute(program.text(), &vector, process.environment);
    Output::new(b"run")
        .text(b"cannot start ")
        .name(program.bytes())
        .text(b": is it built for this processor, and is its loader or interpreter in this image? (")
        .text(error.meaning())
        .text(b")")
        .end(if error == Errno::NO_ENTRY { 127 } else { 126 })
}

/// The real path of the program. A program with other files is among them, and `binary` is a link to it. Started by its
/// own path, it finds the others.
fn own_place(program: Path, process: &Process) -> Path {
    let mut buffer = [0_u8; PATH_LIMIT];
    let length = match system::read_link(system::HERE, program.text(), &mut buffer) {
        Ok(length) if length < PATH_LIMIT => length,
        _ => return program,
    };
    let target = buffer.get(..length).unwrap_or(b"");
    if target.starts_with(b"/") {
        return Path::of(b"run", &[target]);
    }
    Path::of(b"run", &[process.variable_or(b"APP_ROOT", ROOT), b"/bin/", target])
}

/// Pointers to the arguments. Unused places are null, so the list ends as execve requires.
pub(crate) struct Vector {
    pub(crate) pointers: &'static mut [*const u8],
    length: usize,
}

impl Vector {
    fn push(&mut self, pointer: *const u8) {
        // The last place stays null.
        if self.length + 1 < self.pointers.len() {
            if let Some(place) = self.pointers.get_mut(self.length) {
                *place = pointer;
                self.length += 1;
            }
        }
    }
}

/// Splits the value into words by the shell's quoting rules, without expansion. `text` gets the words, each with its
/// NUL. It is one byte longer than the value, which is enough: every word ends with a blank or at the end.
fn split(value: &[u8], text: &'static mut [u8], words: &mut Vector) -> Result<(), &'static [u8]> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Between,
        Word,
        Single,
        Double,
    }
    let mut state = State::Between;
    let mut input = value.iter().copied();
    let mut rest = text;
    let mut length = 0;
    while let Some(byte) = input.next() {
        let literal = match (state, byte) {
            (State::Between, b' ' | b'\t' | b'\n') => None,
            (State::Word, b' ' | b'\t' | b'\n') => {
                rest = finish_word(rest, length, words);
                length = 0;
                state = State::Between;
                None
            }
            (State::Between | State::Word, b'\'') => {
                state = State::Single;
                None
            }
            (State::Between | State::Word, b'"') => {
                state = State::Double;
                None
            }
            (State::Between | State::Word, b'\\') => match input.next() {
                None => return Err(b"ends with a backslash that escapes nothing"),
                Some(b'\n') => None,
                escaped => escaped,
            },
            (State::Single, b'\'') | (State::Double, b'"') => {
                state = State::Word;
                None
            }
            (State::Double, b'\\') => match input.clone().next() {
                Some(b'\n') => {
                    input.next();
                    None
                }
                Some(b'$' | b'`' | b'"' | b'\\') => input.next(),
                _ => Some(byte),
            },
            _ => Some(byte),
        };
        if let Some(byte) = literal {
            if state == State::Between {
                state = State::Word;
            }
            if let Some(place) = rest.get_mut(length) {
                *place = byte;
                length += 1;
            }
        }
    }
    match state {
        State::Single => return Err(b"has a single quote (') that is not closed"),
        State::Double => return Err(b"has a double quote (\") that is not closed"),
        State::Word => {
            finish_word(rest, length, words);
        }
        State::Between => {}
    }
    Ok(())
}

/// Ends a word of that length at the beginning of the text, and returns the rest. The byte behind the word is already
/// NUL.
fn finish_word(text: &'static mut [u8], length: usize, words: &mut Vector) -> &'static mut [u8] {
    if length >= text.len() {
        return text;
    }
    let (word, rest) = text.split_at_mut(length + 1);
    words.push(word.as_ptr());
    rest
}
