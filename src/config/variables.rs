//! Owns the conversion of environment variables to the form of a file.
//!
//! Must not read the environment: the caller passes the variables.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use toml::Spanned;

use super::error::Error;
use super::table::{ConfigFile, Section};

/// Wraps a value that is in no file.
pub fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// Reads the variables; also returns, by key, the variable that set it.
///
/// # Errors
/// [`Error::Variable`] names the first invalid one.
pub(super) fn read(
    variables: &BTreeMap<String, String>,
) -> Result<(ConfigFile, BTreeMap<&'static str, String>), Error> {
    let mut reader = VariableReader { variables, names: BTreeMap::new() };
    let mut content = ConfigFile::default();
    content.read_variables(&mut reader)?;
    Ok((content, reader.names))
}

/// Reads variables and records which one set a key. An empty variable counts as unset.
pub(super) struct VariableReader<'a> {
    variables: &'a BTreeMap<String, String>,
    names: BTreeMap<&'static str, String>,
}

impl VariableReader<'_> {
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        names: &[&'static str],
    ) -> Result<Option<Spanned<T>>, Error>
    where
        T: FromStr<Err: fmt::Display>,
    {
        self.parse(key, names, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    pub(super) fn switch(
        &mut self,
        key: &'static str,
        names: &[&'static str],
    ) -> Result<Option<Spanned<bool>>, Error> {
        self.parse(key, names, |text| match text {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(format!("`{text}` is neither true (1) nor false (0)")),
        })
    }

    fn parse<T>(
        &mut self,
        key: &'static str,
        names: &[&'static str],
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<Spanned<T>>, Error> {
        let text = |name: &&str| Some((name.to_string(), self.variables.get(*name)?));
        let set = names.iter().filter_map(text).find(|(_, text)| !text.is_empty());
        let Some((name, text)) = set else { return Ok(None) };
        let value = parse(text).map_err(|reason| Error::Variable { name: name.clone(), reason })?;
        self.names.insert(key, name);
        Ok(Some(unplaced(value)))
    }
}
