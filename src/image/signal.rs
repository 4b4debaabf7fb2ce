//! Owns the names of signals in an image's `StopSignal`.
//! Must not accept a name that Docker or Podman rejects.
//!
//! Source: moby's `signal.ParseSignal`. `rustix` was weighed: it parses no names.

/// The names without `SIG`.
const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// The largest numbers after `RTMIN+` and `RTMAX-`, as in Docker.
const AFTER_RTMIN: u8 = 15;
const BEFORE_RTMAX: u8 = 14;

const HIGHEST_NUMBER: u8 = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a signal (expected a name, such as SIGINT, TERM or RTMIN+3, or a number from 1 to {HIGHEST_NUMBER})"
)]
pub struct UnknownSignal(String);

/// The form of a signal in a config: `SIGTERM` for `SIGTERM`, `TERM` and `term`; numbers do not change.
pub fn stop_signal(text: &str) -> Result<String, UnknownSignal> {
    let unknown = || UnknownSignal(text.to_owned());
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<u8>().ok().filter(|number| (1..=HIGHEST_NUMBER).contains(number));
        return number.map(|number| number.to_string()).ok_or_else(unknown);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let counted = |start: &str, most: u8| {
        let digits = name.strip_prefix(start)?;
        // `RTMIN+03` is not valid in Docker.
        let number = digits.parse::<u8>().ok().filter(|number| number.to_string() == digits)?;
        Some((1..=most).contains(&number))
    };
    let is_valid = NAMES.contains(&name)
        || counted("RTMIN+", AFTER_RTMIN).or_else(|| counted("RTMAX-", BEFORE_RTMAX)) == Some(true);
    if is_valid { Ok(format!("SIG{name}")) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_names_or_numbers() {
        for (text, signal) in [
            ("SIGTERM", "SIGTERM"),
            ("TERM", "SIGTERM"),
            ("sigint", "SIGINT"),
            ("15", "15"),
            ("64", "64"),
            ("RTMIN+3", "SIGRTMIN+3"),
            ("SIGRTMAX-14", "SIGRTMAX-14"),
            ("RTMAX", "SIGRTMAX"),
        ] {
            assert_eq!(stop_signal(text).as_deref(), Ok(signal));
        }
        for text in [
            "",
            "SIG",
            "FOO",
            "SIGSIGTERM",
            "0",
            "65",
            "300",
            "-1",
            "+3",
            "SIG INT",
            "TERM+1",
            "RTMIN+0",
            "RTMIN+16",
            "RTMAX-15",
            "RTMIN+03",
            "RTMIN-1",
            "TERM\n",
        ] {
            assert!(stop_signal(text).is_err(), "{text}");
        }
    }
}
