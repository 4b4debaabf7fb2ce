//! Owns the prompts for a user name and a password, and the password from standard input.
//!
//! Must not store or print either. `rpassword` 7 was weighed: it leaves Ctrl-C to the terminal, which would end b2i while
//! echo is off.

use std::io::{self, BufRead, IsTerminal, Read};

use super::failure::CliError;
use super::printer::Printer;

/// Longest password, in bytes; some tokens have a few thousand.
const MAXIMUM: u64 = 64 << 10;

/// Reads the password from standard input, without its line end.
pub(super) fn password_from_stdin() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MAXIMUM + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::usage(format!("cannot read the password from standard input: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::usage("the password on standard input is not UTF-8"))?;
    let password = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    if password.is_empty() {
        return Err(CliError::usage("standard input contains no password"));
    }
    if password.len() as u64 > MAXIMUM {
        return Err(CliError::usage(format!("the password is longer than {MAXIMUM} bytes")));
    }
    Ok(password.to_owned())
}

/// Prompts for a user name.
pub(super) fn ask_user(printer: &Printer) -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("the user name is missing, and standard input is not a terminal")
            .with_hint("pass it with `-u USER`"));
    }
    printer.prompt("User name: ");
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(MAXIMUM)
        .read_line(&mut line)
        .map_err(|error| CliError::usage(format!("cannot read the user name: {error}")))?;
    match line.trim() {
        "" => Err(CliError::usage("the user name is empty").with_hint("pass it with `-u USER`")),
        name => Ok(name.to_owned()),
    }
}

/// Prompts for a password without echo. Ctrl-C gives [`CliError::Stopped`].
pub(super) fn ask_password(printer: &Printer) -> Result<String, CliError> {
    let no_terminal = || {
        CliError::usage("the password is missing, and standard input is not a terminal")
            .with_hint("pass it with `--password-stdin`, for example `--password-stdin < FILE`")
    };
    if !io::stdin().is_terminal() {
        return Err(no_terminal());
    }
    #[cfg(unix)]
    {
        let typed = terminal::read_silently(|| printer.prompt("Password: "));
        // The line end was not echoed.
        printer.prompt("\n");
        match typed? {
            password if password.is_empty() => Err(CliError::usage("the password is empty")),
            password => Ok(password),
        }
    }
    #[cfg(not(unix))]
    Err(no_terminal())
}

#[cfg(unix)]
mod terminal {
    use std::io::{self, Read};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    use super::{CliError, MAXIMUM};

    const INTERRUPT: u8 = 3;
    const END: u8 = 4;
    const BACKSPACE: u8 = 8;
    const DELETE: u8 = 127;

    /// Restores the settings of the terminal.
    struct Restored(Termios);

    impl Drop for Restored {
        fn drop(&mut self) {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &self.0);
        }
    }

    /// Switches echo off, prompts and reads a line byte by byte. Ctrl-C arrives as a byte: as a signal, it would end b2i and
    /// leave a terminal without echo.
    pub(super) fn read_silently(prompt: impl FnOnce()) -> Result<String, CliError> {
        let failed = |error: io::Error| {
            CliError::usage(format!("cannot read the password from the terminal: {error}"))
                .with_hint("pass it with `--password-stdin`")
        };
        let before = tcgetattr(rustix::stdio::stdin()).map_err(|error| failed(error.into()))?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        let _restored = Restored(before);
        let set = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &silent);
        set.map_err(|error| failed(error.into()))?;
        prompt();
        let mut typed = Vec::new();
        for byte in io::stdin().lock().take(MAXIMUM).bytes() {
            match byte.map_err(failed)? {
                b'\n' | b'\r' | END => break,
                INTERRUPT => return Err(CliError::Stopped { code: 130, signal: "SIGINT" }),
                BACKSPACE | DELETE => remove_last(&mut typed),
                byte => typed.push(byte),
            }
        }
        String::from_utf8(typed).map_err(|_| CliError::usage("the password is not UTF-8"))
    }

    /// Removes the last character, which may be several bytes.
    fn remove_last(typed: &mut Vec<u8>) {
        while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }
}
