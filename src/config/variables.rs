//! Owns which variables are read for which key of the configuration, and how.
//!
//! Must not read the environment: the variables are handed in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use toml::Spanned;

use super::error::Error;
use super::file::ConfigFile;
use super::keys;

/// Wraps a value that stands in no file.
pub fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// Reads the variables as if they were a file, and says by key which one set it.
///
/// # Errors
/// [`Error::Variable`] names the first that is wrong.
pub(super) fn read(
    variables: &BTreeMap<String, String>,
) -> Result<(ConfigFile, BTreeMap<&'static str, String>), Error> {
    let mut reader = VariableReader { variables, names: BTreeMap::new() };
    let mut content = ConfigFile::default();
    let (build, network, limits) = (&mut content.build, &mut content.network, &mut content.limits);
    build.builder = reader.value("build.builder", &[])?;
    build.source_builder = reader.value("build.source-builder", &[])?;
    build.args = reader.value("build.args", &[])?;
    build.assemble = reader.value("build.assemble", &[])?;
    build.pull = reader.value("build.pull", &[])?;
    build.platform = reader.value("build.platform", &[])?;
    content.docker.host = reader.value("docker.host", &["DOCKER_HOST"])?;
    content.cache.directory = reader.value("cache.directory", &[])?;
    network.offline = reader.switch("network.offline")?;
    network.proxies.http = reader.value("network.proxies.http", &["HTTP_PROXY"])?;
    network.proxies.https = reader.value("network.proxies.https", &["HTTPS_PROXY"])?;
    network.proxies.all = reader.value("network.proxies.all", &["ALL_PROXY"])?;
    network.proxies.none = reader.value("network.proxies.none", &["NO_PROXY"])?;
    network.connect_timeout = reader.value("network.connect-timeout", &[])?;
    network.read_timeout = reader.value("network.read-timeout", &[])?;
    network.retries = reader.value("network.retries", &[])?;
    network.chunk_size = reader.value("network.chunk-size", &[])?;
    network.max_size = reader.value("network.max-size", &[])?;
    limits.memory = reader.value("limits.memory", &[])?;
    limits.cpus = reader.value("limits.cpus", &[])?;
    limits.pids = reader.value("limits.pids", &[])?;
    limits.timeout = reader.value("limits.timeout", &[])?;
    Ok((content, reader.names))
}

/// Reads variables and remembers which one set what. An empty variable says nothing.
struct VariableReader<'a> {
    variables: &'a BTreeMap<String, String>,
    names: BTreeMap<&'static str, String>,
}

impl VariableReader<'_> {
    fn text(&mut self, key: &'static str, other_names: &[&'static str]) -> Option<(String, String)> {
        let own = keys::key(key).and_then(|key| key.variable);
        let mut names = own.into_iter().chain(other_names.iter().copied());
        let name = names.find(|name| self.variables.get(*name).is_some_and(|value| !value.is_empty()))?;
        self.names.insert(key, name.to_owned());
        Some((name.to_owned(), self.variables[name].clone()))
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        other_names: &[&'static str],
    ) -> Result<Option<Spanned<T>>, Error>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let Some((name, text)) = self.text(key, other_names) else { return Ok(None) };
        let value =
            text.parse().map_err(|error: T::Err| Error::Variable { name, reason: error.to_string() })?;
        Ok(Some(unplaced(value)))
    }

    fn switch(&mut self, key: &'static str) -> Result<Option<Spanned<bool>>, Error> {
        let Some((name, text)) = self.text(key, &[]) else { return Ok(None) };
        match text.as_str() {
            "1" | "true" => Ok(Some(unplaced(true))),
            "0" | "false" => Ok(Some(unplaced(false))),
            _ => Err(Error::Variable { name, reason: format!("`{text}` is neither true (1) nor false (0)") }),
        }
    }
}
