//! Owns the conversion of input options for a request.
//!
//! Must not accept secrets as arguments, which every user of the machine can read. Options name variables and files.

use std::path::Path;

use super::arguments::input::InputArguments;
use super::failure::CliError;
use crate::config::{ConfigFile, Settings, unplaced};
use crate::diagnostic::FailureKind;
use crate::host::read_small_file;
use crate::input::{AddRequest, DownloadRequest, HeaderRequest, InputOptions, InputSource, SecretReference};

/// The flags that are also configuration keys.
pub(super) fn configured(arguments: &InputArguments, flags: &mut ConfigFile) {
    flags.network.max_size = arguments.max_size.map(unplaced);
    flags.network.ca_files = (!arguments.ca_file.is_empty()).then(|| unplaced(arguments.ca_file.clone()));
}

/// Parses the artifact: `-`, a URL or a file.
pub(super) fn source(artifact: &Path) -> Result<InputSource, CliError> {
    // A name that is not UTF-8 is a file.
    let Some(text) = artifact.to_str() else { return Ok(InputSource::File(artifact.to_owned())) };
    Ok(InputSource::parse(text)?)
}

/// Makes the input options. `has_network` says whether the input is downloaded.
pub(super) fn options(
    arguments: &InputArguments,
    has_network: bool,
    settings: &Settings,
) -> Result<InputOptions, CliError> {
    if !arguments.ca_file.is_empty() && !has_network {
        return Err(CliError::usage("`--ca-file` is for downloads; the artifact is not a URL")
            .with_hint("remove `--ca-file`, or pass an http or https URL"));
    }
    Ok(InputOptions {
        sha256: arguments.sha256,
        sha256_file: arguments.sha256_file.clone(),
        max_size: settings.network.max_size.value.0,
        member_path: arguments.path.clone(),
        keep_tree: arguments.keep_tree,
        treat_as: arguments.treat_as.map(Into::into),
        added: arguments.add.iter().map(|add| added(add)).collect::<Result<_, _>>()?,
        download: DownloadRequest {
            headers: arguments.header_env.iter().map(|text| header(text)).collect::<Result<_, _>>()?,
            header_file: arguments.header_file.clone(),
            bearer: arguments.bearer_env.clone().map(SecretReference::Variable),
            netrc: arguments.netrc_file.clone(),
        },
        ..InputOptions::default()
    })
}

/// Parses `HEADER=VAR`.
fn header(text: &str) -> Result<HeaderRequest, CliError> {
    match text.split_once('=') {
        Some((name, variable)) if !variable.is_empty() => {
            Ok(HeaderRequest { name: name.to_owned(), value: SecretReference::Variable(variable.to_owned()) })
        }
        _ => Err(CliError::usage("`--header-env` requires the names of a header and a variable")
            .with_hint("write `--header-env PRIVATE-TOKEN=MY_VARIABLE`")),
    }
}

/// Parses `SRC[:DEST]`.
fn added(text: &Path) -> Result<AddRequest, CliError> {
    match text.to_str() {
        Some(text) => Ok(text.parse()?),
        // A name that is not UTF-8 has no destination.
        None => Ok(AddRequest { source: text.to_owned(), destination: None }),
    }
}

/// Reads a small file, the value of `flag`.
pub(super) fn read_text(path: &Path, flag: &str) -> Result<String, CliError> {
    read_small_file(path).map_err(|error| {
        CliError::file(FailureKind::Usage, format!("cannot read `{}` ({flag})", path.display()), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
