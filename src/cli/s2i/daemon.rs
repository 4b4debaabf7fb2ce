//! Owns the flags of s2i for the daemon and its credentials: the global flags and `--dockercfg-path`.
//!
//! Must not connect to the daemon.

use std::path::{Path, PathBuf};

use super::arguments::{CommonArguments, S2iGlobalArguments, is_on};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::config::Settings;
use crate::session::Session;

/// The session of every command that uses a daemon.
pub(super) fn session(
    global: &S2iGlobalArguments,
    common: &CommonArguments,
    settings: &Settings,
    context: &Context,
) -> Result<Session, CliError> {
    if is_on(global.tls) {
        return Err(CliError::usage("`--tls` is not supported: it does not verify the daemon's certificate")
            .with_hint("use `--tlsverify`, with the daemon's certificate authority in `--ca`"));
    }
    let mut host = context.host(settings)?;
    let daemon = &mut host.daemon;
    if let Some(verify) = global.tlsverify {
        daemon.settings.tls_verify = verify;
    }
    if let Some(directory) = certificates(global)? {
        daemon.settings.cert_path = Some(directory);
    }
    if let Some(file) = &common.dockercfg_path {
        if !file.is_file() {
            return Err(CliError::usage(format!("file `{}` not found (--dockercfg-path)", file.display())));
        }
        daemon.credential_files = vec![file.clone()];
        host.registry.credential_files = vec![file.clone()];
    }
    Ok(host.session(context.progress.events()))
}

/// The directory of the TLS files. s2i has a flag for each file; Docker's client expects fixed names in one directory.
fn certificates(global: &S2iGlobalArguments) -> Result<Option<PathBuf>, CliError> {
    let named = [
        ("--ca", &global.ca, "ca.pem"),
        ("--cert", &global.cert, "cert.pem"),
        ("--key", &global.key, "key.pem"),
    ];
    let mut certificates: Option<PathBuf> = None;
    for (flag, path, name) in named {
        let Some(path) = path else { continue };
        let directory = path.parent().unwrap_or(Path::new(""));
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let is_elsewhere = certificates.as_ref().is_some_and(|other| other != directory);
        if path.file_name().is_none_or(|file| file != name) || is_elsewhere {
            return Err(CliError::usage(format!("`{flag} {}` is not supported", path.display()))
                .with_hint("put ca.pem, cert.pem and key.pem into one directory, as for DOCKER_CERT_PATH"));
        }
        certificates = Some(directory.to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ca: &str, cert: &str, key: &str) -> Result<Option<PathBuf>, CliError> {
        let path = |text: &str| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
        certificates(&S2iGlobalArguments {
            url: None,
            tls: None,
            tlsverify: None,
            ca: path(ca),
            cert: path(cert),
            key: path(key),
            loglevel: None,
        })
    }

    #[test]
    fn certificates_are_in_one_directory() {
        assert_eq!(of("", "", "").expect("none"), None);
        assert_eq!(of("/d/ca.pem", "/d/cert.pem", "/d/key.pem").expect("one"), Some("/d".into()));
        assert_eq!(of("ca.pem", "", "").expect("here"), Some(".".into()));
        assert!(of("/d/ca.pem", "/e/cert.pem", "").is_err());
        assert!(of("/d/authority.pem", "", "").is_err());
    }
}
