//! Owns turning what was typed about the input into the input room's options, and reading the secrets it names.
//!
//! Secrets come from variables and files, never from arguments: every user of the machine can read those.

use std::io::Read;
use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};

use super::arguments::input::InputArguments;
use super::environment::Environment;
use super::failure::CliError;
use crate::config::{ConfigFile, Settings, unplaced};
use crate::diagnostic::FailureKind;
use crate::host;
use crate::input::{AddRequest, HttpOptions, InputOptions, InputSource, Secret};

/// The largest file with headers, passwords or variables that is read, in bytes.
const MAXIMUM_LENGTH: u64 = 1 << 20;

/// What the options say that could also be configured.
pub(super) fn configured(arguments: &InputArguments, flags: &mut ConfigFile) {
    flags.network.max_size = arguments.max_size.map(unplaced);
    if !arguments.ca_file.is_empty() {
        flags.network.ca_files = Some(unplaced(arguments.ca_file.clone()));
    }
}

/// Reads what stands for the artifact: `-`, a URL, or a file.
pub(super) fn source(artifact: &Path) -> Result<InputSource, CliError> {
    // A name that is not UTF-8 is a file's.
    let Some(text) = artifact.to_str() else { return Ok(InputSource::File(artifact.to_owned())) };
    let source = InputSource::parse(text)?;
    if let InputSource::Url(url) = &source
        && (!url.username().is_empty() || url.password().is_some())
    {
        let host = url.host_str().unwrap_or_default();
        return Err(CliError::usage(format!("the URL on `{host}` carries a user name or password"))
            .with_hint(
                "every user of this machine can read arguments: put both into ~/.netrc or --netrc-file",
            )
            .with_hint("for a token use `--bearer-env VAR` or `--header-env NAME=VAR`"));
    }
    Ok(source)
}

/// Reads what stands for the artifacts of a build, of which there is at least one.
///
/// # Errors
/// A usage error for what cannot hold for several.
pub(super) fn sources(
    artifacts: &[PathBuf],
    arguments: &InputArguments,
) -> Result<Vec<InputSource>, CliError> {
    let sources: Vec<InputSource> =
        artifacts.iter().map(|artifact| source(artifact)).collect::<Result<_, _>>()?;
    for (index, artifact) in artifacts.iter().enumerate() {
        if artifacts[..index].contains(artifact) {
            return Err(CliError::usage(format!("`{}` is given twice", artifact.display()))
                .with_hint("several artifacts are one program, built for several platforms"));
        }
    }
    if arguments.sha256.is_some() && sources.len() > 1 {
        return Err(CliError::usage("`--sha256` is one artifact's digest, and several artifacts are given")
            .with_hint("compare them before: `sha256sum --check`"));
    }
    Ok(sources)
}

/// Makes the input room's options, for one artifact or all of several; or for what is in a repository, which git
/// fetches.
pub(super) fn options(
    arguments: &InputArguments,
    sources: &[InputSource],
    in_repository: bool,
    settings: &Settings,
    environment: &Environment,
) -> Result<InputOptions, CliError> {
    let is_url = sources.iter().any(|source| matches!(source, InputSource::Url(_)));
    refuse_without_url(arguments, is_url, in_repository)?;
    Ok(InputOptions {
        sha256: arguments.sha256,
        max_size: settings.network.max_size.value.0,
        member_path: arguments.path.clone(),
        keep_tree: arguments.keep_tree,
        treat_as: arguments.treat_as.map(Into::into),
        added: arguments.add.iter().map(|add| added(add)).collect::<Result<_, _>>()?,
        http: if is_url { http_options(arguments, settings, environment)? } else { HttpOptions::default() },
        offline: settings.network.offline.value,
    })
}

/// The options of inputs of which nothing is typed.
pub(super) fn unasked_options(
    settings: &Settings,
    environment: &Environment,
) -> Result<InputOptions, CliError> {
    Ok(InputOptions {
        max_size: settings.network.max_size.value.0,
        http: HttpOptions {
            netrc: netrc(None, environment)?.map(Secret::new),
            network: host::network(settings),
            ..HttpOptions::default()
        },
        offline: settings.network.offline.value,
        ..InputOptions::default()
    })
}

fn refuse_without_url(arguments: &InputArguments, is_url: bool, in_repository: bool) -> Result<(), CliError> {
    let given = [
        ("--header-env", !arguments.header_env.is_empty()),
        ("--header-file", arguments.header_file.is_some()),
        ("--bearer-env", arguments.bearer_env.is_some()),
        ("--netrc-file", arguments.netrc_file.is_some()),
        ("--ca-file", !arguments.ca_file.is_empty() && !in_repository),
    ];
    match given.iter().find(|(_, is_given)| *is_given && !is_url) {
        Some((flag, _)) => {
            Err(CliError::usage(format!("`{flag}` is for downloads, and the artifact is no URL"))
                .with_hint(format!("leave `{flag}` out, or give an http or https URL")))
        }
        None => Ok(()),
    }
}

/// Reads `SRC[:DEST]`.
fn added(text: &Path) -> Result<AddRequest, CliError> {
    match text.to_str() {
        Some(text) => Ok(AddRequest::parse(text)?),
        // A name that is not UTF-8 is a whole name.
        None => Ok(AddRequest { source: text.to_owned(), destination: None }),
    }
}

fn http_options(
    arguments: &InputArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<HttpOptions, CliError> {
    let mut headers = Vec::new();
    for text in &arguments.header_env {
        headers.push(header_from_variable(text, environment)?);
    }
    if let Some(file) = &arguments.header_file {
        headers.extend(headers_from_file(file)?);
    }
    let bearer = match &arguments.bearer_env {
        Some(name) => Some(Secret::new(secret(name, "--bearer-env", environment)?)),
        None => None,
    };
    Ok(HttpOptions {
        headers,
        bearer,
        netrc: netrc(arguments.netrc_file.as_deref(), environment)?.map(Secret::new),
        network: host::network(settings),
    })
}

/// The value of a variable that a flag names.
fn secret<'a>(name: &str, flag: &str, environment: &'a Environment) -> Result<&'a str, CliError> {
    match environment.exact(name)? {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(CliError::usage(format!("`{flag}` names the variable `{name}`, which is empty"))),
        None => Err(CliError::usage(format!("`{flag}` names the variable `{name}`, which is not set"))),
    }
}

fn header_from_variable(
    text: &str,
    environment: &Environment,
) -> Result<(HeaderName, HeaderValue), CliError> {
    let (name, variable) =
        text.split_once('=').filter(|(_, variable)| !variable.is_empty()).ok_or_else(|| {
            CliError::usage("`--header-env` needs a header's name and a variable's")
                .with_hint("write `--header-env PRIVATE-TOKEN=MY_VARIABLE`")
        })?;
    header(name, secret(variable, "--header-env", environment)?)
        .map_err(|reason| CliError::usage(format!("`--header-env` for `{name}` is wrong: {reason}")))
}

fn headers_from_file(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, CliError> {
    let text = read_text(path, "--header-file")?;
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        // The line is left out of the message: it may hold a password.
        let wrong = |reason: &str| {
            CliError::usage(format!("line {} of `{}` is wrong: {reason}", number + 1, path.display()))
        };
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("expected `Name: value`"))?;
        headers.push(header(name.trim(), value.trim()).map_err(wrong)?);
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = name.parse::<HeaderName>().map_err(|_| "the name is not a header's name")?;
    let mut value =
        value.parse::<HeaderValue>().map_err(|_| "the value has characters no header can have")?;
    // Kept out of debug output.
    value.set_sensitive(true);
    Ok((name, value))
}

/// The text of the netrc file: the named one, `$NETRC`, or `~/.netrc` if it is there.
fn netrc(named: Option<&Path>, environment: &Environment) -> Result<Option<String>, CliError> {
    if let Some(path) = named {
        return read_text(path, "--netrc-file").map(Some);
    }
    if let Some(path) = environment.path("NETRC") {
        return read_text(&path, "NETRC").map(Some);
    }
    let usual = environment.home().map(|home| home.join(".netrc"));
    usual.filter(|path| path.is_file()).map(|path| read_text(&path, "netrc")).transpose()
}

/// Reads a small file that `flag` names.
pub(super) fn read_text(path: &Path, flag: &str) -> Result<String, CliError> {
    let failed = |error: std::io::Error| {
        CliError::file(FailureKind::Usage, format!("cannot read `{}` ({flag})", path.display()), error)
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAXIMUM_LENGTH + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAXIMUM_LENGTH {
        return Err(failed(std::io::Error::other(format!("it is larger than {MAXIMUM_LENGTH} bytes"))));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: CliError) -> String {
        error.render().map(|text| anstream::adapter::strip_str(&text).to_string()).unwrap_or_default()
    }

    #[test]
    fn tells_files_from_urls() {
        let of = |text: &str| source(Path::new(text));
        assert!(matches!(of("-"), Ok(InputSource::Stdin)));
        assert!(matches!(of("./-"), Ok(InputSource::File(_))));
        assert!(matches!(of("a:b.jar"), Ok(InputSource::File(_))));
        assert!(matches!(of("HTTPS://host.example/a.jar"), Ok(InputSource::Url(_))));
        assert!(matches!(of("file:///a.jar"), Ok(InputSource::File(path)) if path == Path::new("/a.jar")));
        for text in ["", "ftp://host.example/a", "s3://bucket/key", "file://a.jar", "http://", "https://:1"] {
            assert_eq!(of(text).expect_err(text).exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn refuses_passwords_in_urls_without_repeating_them() {
        for url in ["https://me:hunter2@host.example/a.jar", "https://hunter2@host.example/"] {
            let text = message(source(Path::new(url)).expect_err(url));
            assert!(text.contains("host.example") && text.contains("netrc"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn headers_come_from_variables_and_stay_secret() {
        let environment = Environment::from([("TOKEN", "hunter2"), ("BAD", "a\nb"), ("EMPTY", "")]);
        let (name, value) = header_from_variable("Private-Token=TOKEN", &environment).expect("valid");
        assert_eq!((name.as_str(), value.to_str().expect("ASCII")), ("private-token", "hunter2"));
        assert!(!format!("{value:?}").contains("hunter2"));
        for text in ["Private-Token", "X=", "X=MISSING", "X=EMPTY", "X=BAD", "a b=TOKEN"] {
            let error = header_from_variable(text, &environment).expect_err(text);
            assert!(!message(error).contains("hunter2"));
        }
    }

    #[test]
    fn header_files_have_a_header_a_line() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "# comment\nA: 1\n\nB:x:y \n").expect("writing");
        let headers = headers_from_file(file.path()).expect("valid");
        let texts: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(texts, [("a", &b"1"[..]), ("b", b"x:y")]);
        std::fs::write(file.path(), "A: 1\nhunter2\n").expect("writing");
        let text = message(headers_from_file(file.path()).expect_err("no colon"));
        assert!(text.contains("line 2 of") && !text.contains("hunter2"), "{text}");
    }
}
