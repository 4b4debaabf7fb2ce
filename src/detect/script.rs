//! Owns scripts: the program in the first line, read like Linux and `env` read it.
//! Must not read more than the first line.

use super::bounded_reader::text;
use super::diagnosis::ScriptDefect;
use super::facts::ScriptFacts;
use super::rejection::Rejection;

pub(super) const MAGIC: &[u8] = b"#!";
/// A byte order mark before them, which the kernel does not skip.
pub(super) const MARKED_MAGIC: &[u8] = b"\xef\xbb\xbf#!";
/// The number of bytes that the kernel reads (BINPRM_BUF_SIZE).
const LONGEST_LINE: usize = 256;

/// The facts of a script. A first line without a program for the kernel or for `env` is refused.
pub(super) fn detect(head: &[u8]) -> Result<ScriptFacts, Rejection> {
    read_first_line(head).map_err(|defect| Rejection::BrokenScript { defect })
}

fn read_first_line(head: &[u8]) -> Result<ScriptFacts, ScriptDefect> {
    let rest = head.strip_prefix(MAGIC).ok_or(ScriptDefect::ByteOrderMark)?;
    let rest = &rest[..rest.len().min(LONGEST_LINE - MAGIC.len())];
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Err(ScriptDefect::CarriageReturn);
    }
    let line = text(line).replace(char::REPLACEMENT_CHARACTER, " ");
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if interpreter.is_empty() {
        return Err(ScriptDefect::NoInterpreter);
    }
    if !interpreter.starts_with('/') {
        return Err(ScriptDefect::RelativeInterpreter(interpreter.to_owned()));
    }
    let program = match file_name(interpreter) {
        "env" => env_program(argument.trim())?,
        // `#!/bin/busybox sh`
        "busybox" if !argument.trim().is_empty() => argument.trim().to_owned(),
        name => name.to_owned(),
    };
    Ok(ScriptFacts { interpreter: interpreter.to_owned(), program })
}

/// Finds the program that `env` starts. The kernel passes everything after the interpreter as one argument, and only
/// `-S` makes `env` split it.
fn env_program(argument: &str) -> Result<String, ScriptDefect> {
    if argument.is_empty() {
        return Err(ScriptDefect::NoProgram);
    }
    let Some(split) = split_option(argument) else {
        return match argument.contains([' ', '\t']) {
            true => Err(ScriptDefect::UnsplitArguments(argument.to_owned())),
            false if argument.starts_with('-') => Err(ScriptDefect::NoProgram),
            false => Ok(file_name(argument).to_owned()),
        };
    };
    let mut words = split.split([' ', '\t']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            // Options of `env` with a value.
            "-u" | "--unset" | "-C" | "--chdir" => drop(words.next()),
            option if option.starts_with('-') => {}
            assignment if assignment.contains('=') => {}
            program => return Ok(file_name(program.trim_matches(['"', '\''])).to_owned()),
        }
    }
    Err(ScriptDefect::NoProgram)
}

/// The text after `-S`, `-vS`, `-iS` or `--split-string=`.
fn split_option(argument: &str) -> Option<&str> {
    if let Some(rest) = argument.strip_prefix("--split-string") {
        return rest.strip_prefix(['=', ' ']);
    }
    let options = argument.strip_prefix('-')?;
    let at = options.find('S')?;
    options[..at].bytes().all(|byte| byte.is_ascii_lowercase()).then(|| &options[at + 1..])
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(head: &str) -> String {
        detect(head.as_bytes()).expect("a sound first line").program
    }

    fn defect(head: &[u8]) -> ScriptDefect {
        match detect(head).expect_err("a defect") {
            Rejection::BrokenScript { defect } => defect,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_interpreter_and_program() {
        let facts = detect(b"#!/bin/sh -e\necho").expect("sound");
        assert_eq!((facts.interpreter.as_str(), facts.program.as_str()), ("/bin/sh", "sh"));
        assert_eq!(program("#! /usr/bin/perl -w\n"), "perl");
        assert_eq!(program("#!/usr/bin/env python3\n"), "python3");
        assert_eq!(program("#!/usr/bin/env -S python3 -u\n"), "python3");
        assert_eq!(program("#!/usr/bin/env -vS A=1 -i /opt/node --x\n"), "node");
        assert_eq!(program("#!/usr/bin/env -S -u HOME deno run\n"), "deno");
        assert_eq!(program("#!/usr/bin/env --split-string=ruby -w\n"), "ruby");
        assert_eq!(program("#!/bin/busybox sh\n"), "sh");
        assert_eq!(program("#!/bin/bash"), "bash");
    }

    #[test]
    fn names_what_the_kernel_would_trip_over() {
        assert_eq!(defect(b"#!/bin/sh\r\necho\r\n"), ScriptDefect::CarriageReturn);
        assert_eq!(defect(b"\xef\xbb\xbf#!/bin/sh\n"), ScriptDefect::ByteOrderMark);
        assert_eq!(defect(b"#!\n"), ScriptDefect::NoInterpreter);
        assert_eq!(defect(b"#!"), ScriptDefect::NoInterpreter);
        assert_eq!(defect(b"#!python3\n"), ScriptDefect::RelativeInterpreter("python3".into()));
        assert_eq!(defect(b"#!/usr/bin/env\n"), ScriptDefect::NoProgram);
        assert_eq!(defect(b"#!/usr/bin/env -S\n"), ScriptDefect::NoProgram);
        assert_eq!(
            defect(b"#!/usr/bin/env python3 -u\n"),
            ScriptDefect::UnsplitArguments("python3 -u".into())
        );
    }
}
