//! Owns scripts: the program in the first line, read like Linux and `env` read it, and the release that the script states.
//! Must not read more than the beginning of the file.

use super::bounded_reader::text;
use super::diagnosis::ScriptDefect;
use super::facts::ScriptFacts;
use super::rejection::Rejection;

mod metadata;

pub(super) const MAGIC: &[u8] = b"#!";
/// A byte order mark before them, which the kernel does not skip.
pub(super) const MARKED_MAGIC: &[u8] = b"\xef\xbb\xbf#!";
/// The number of bytes that the kernel reads (BINPRM_BUF_SIZE).
const LONGEST_LINE: usize = 256;

/// The part of a script that is searched for its metadata, in bytes.
pub(super) const SEARCHED: u64 = 64 * 1024;

/// The facts of a script that begins with `head`. A first line without a program for the kernel or for `env` is refused.
pub(super) fn detect(head: &[u8]) -> Result<ScriptFacts, Rejection> {
    let line = read_first_line(head).map_err(|defect| Rejection::BrokenScript { defect })?;
    let mut facts =
        ScriptFacts { interpreter: line.interpreter, program: line.program, ..ScriptFacts::default() };
    if facts.program.starts_with("python") {
        let metadata = metadata::python(head);
        facts.release = metadata.release;
        facts.dependencies = metadata.dependencies;
    } else if facts.program == "java" {
        facts.release = java_source(&line.arguments);
    }
    Ok(facts)
}

/// The release of `--source 17` or `--source=17`.
fn java_source(arguments: &[String]) -> Option<String> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--source") {
            Some("") => return arguments.next().cloned(),
            Some(rest) => return rest.strip_prefix('=').map(str::to_owned),
            None => {}
        }
    }
    None
}

/// The words of the first line.
struct FirstLine {
    interpreter: String,
    program: String,
    /// The arguments of the program before the path of the script.
    arguments: Vec<String>,
}

fn read_first_line(head: &[u8]) -> Result<FirstLine, ScriptDefect> {
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
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let (program, arguments) = match file_name(interpreter) {
        "env" => env_program(argument.trim())?,
        // `#!/bin/busybox sh`
        "busybox" if !argument.trim().is_empty() => (argument.trim().to_owned(), Vec::new()),
        name => (name.to_owned(), words(argument)),
    };
    Ok(FirstLine { interpreter: interpreter.to_owned(), program, arguments })
}

/// Finds the program that `env` starts. The kernel passes everything after the interpreter as one argument, and only
/// `-S` makes `env` split it.
fn env_program(argument: &str) -> Result<(String, Vec<String>), ScriptDefect> {
    if argument.is_empty() {
        return Err(ScriptDefect::NoProgram);
    }
    let Some(split) = split_option(argument) else {
        return match argument.contains([' ', '\t']) {
            true => Err(ScriptDefect::UnsplitArguments(argument.to_owned())),
            false if argument.starts_with('-') => Err(ScriptDefect::NoProgram),
            false => Ok((file_name(argument).to_owned(), Vec::new())),
        };
    };
    let mut words = split.split([' ', '\t']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            // Options of `env` with a value.
            "-u" | "--unset" | "-C" | "--chdir" => drop(words.next()),
            option if option.starts_with('-') => {}
            assignment if assignment.contains('=') => {}
            program => {
                let program = file_name(program.trim_matches(['"', '\''])).to_owned();
                return Ok((program, words.map(str::to_owned).collect()));
            }
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
    fn reads_the_release_that_is_stated() {
        let release = |head: &str| detect(head.as_bytes()).expect("sound").release;
        for (head, expected) in [
            ("#!/usr/bin/env -S java --source 17\nclass A {}\n", Some("17")),
            ("#!/usr/bin/env -S java -Xmx1g --source=21 -cp lib\n", Some("21")),
            ("#!/opt/jdk/bin/java --source 11\n", Some("11")),
            ("#!/usr/bin/env java\n", None),
            ("#!/usr/bin/env -S java --source\n", None),
            ("#!/usr/bin/env python3\n# /// script\n# requires-python = \"~=3.11\"\n# ///\n", Some("~=3.11")),
            ("#!/bin/sh\n# /// script\n# requires-python = \"~=3.11\"\n# ///\n", None),
        ] {
            assert_eq!(release(head).as_deref(), expected, "{head}");
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
