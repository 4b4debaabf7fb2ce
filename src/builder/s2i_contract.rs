//! Owns the S2I contract of a builder image, read from its config.
//!
//! Must not trust the image: labels name paths in the image, users, and the URL of scripts. Source: the S2I builder
//! image contract (labels `io.openshift.s2i.*`, before that `io.s2i.*` and the variables `STI_*`).

use serde::Serialize;

use super::error::{BuilderError, shown};
use crate::image::{ImageConfig, ImagePath};
use crate::request::ScriptsSource;
use crate::sources::scripts::scripts_directory;

/// Labels with the location of the scripts, newest first.
const SCRIPTS_LABELS: [&str; 2] = ["io.openshift.s2i.scripts-url", "io.s2i.scripts-url"];
const SCRIPTS_VARIABLE: &str = "STI_SCRIPTS_URL";
const DESTINATION_LABELS: [&str; 2] = ["io.openshift.s2i.destination", "io.s2i.destination"];
const DESTINATION_VARIABLE: &str = "STI_LOCATION";
const ASSEMBLE_USER_LABEL: &str = "io.openshift.s2i.assemble-user";
const ASSEMBLE_RUNTIME_USER_LABEL: &str = "io.openshift.s2i.assemble-runtime-user";
const INPUT_FILES_LABEL: &str = "io.openshift.s2i.assemble-input-files";

/// Every label of the contract. A builder image that b2i makes from another image keeps none of them.
pub const CONTRACT_LABELS: [&str; 6] = [
    SCRIPTS_LABELS[0],
    SCRIPTS_LABELS[1],
    DESTINATION_LABELS[0],
    DESTINATION_LABELS[1],
    ASSEMBLE_USER_LABEL,
    INPUT_FILES_LABEL,
];

/// The variables of the contract before there were labels.
pub const CONTRACT_VARIABLES: [&str; 2] = [SCRIPTS_VARIABLE, DESTINATION_VARIABLE];

const DEFAULT_DESTINATION: &str = "/tmp";

/// Longest value, in bytes.
const MAXIMUM_VALUE: usize = 4096;

/// The contract of one builder image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S2iContract {
    /// The directory of the scripts in the container.
    pub scripts: ImagePath,
    /// The location of scripts that the image does not have; they are uploaded to [`Self::scripts`].
    pub fetched: Option<ScriptsSource>,
    /// The directory to which `src`, `scripts` and `artifacts` are uploaded.
    pub destination: ImagePath,
    /// The user that runs `assemble`, if it is not the image's own.
    pub assemble_user: Option<String>,
    /// The files that a runtime image takes from a build (`from` or `from:to`). They are not checked here, because many
    /// builds do not use them.
    pub assemble_input_files: Vec<String>,
    /// `ONBUILD` triggers. They never run if there are S2I scripts.
    pub on_build: Vec<String>,
}

impl S2iContract {
    /// Reads the contract of `image` from its config.
    ///
    /// `assemble_user` comes from the request and has precedence over the label. `allow_root` is whether a label may
    /// name root.
    ///
    /// # Errors
    /// [`BuilderError::NoScripts`] if it is not a builder image, [`BuilderError::Contract`] if a label is refused.
    pub fn read(
        image: &str,
        config: &ImageConfig,
        assemble_user: Option<&str>,
        allow_root: bool,
    ) -> Result<Self, BuilderError> {
        let source = Source { image, config };
        let scripts = Self::scripts_source(image, config)?;
        let scripts = scripts.ok_or_else(|| BuilderError::NoScripts { image: image.to_owned() })?;
        let destination = Self::destination_of(image, config)?;
        let (scripts, fetched) = match scripts {
            ScriptsSource::Image(directory) => (directory, None),
            elsewhere => (scripts_directory(&destination), Some(elsewhere)),
        };
        let assemble_user = match (assemble_user, source.label(ASSEMBLE_USER_LABEL)) {
            (Some(requested), _) => Some(requested.to_owned()),
            (None, Some(value)) => Some(value.user(allow_root)?),
            (None, None) => None,
        };
        Ok(Self {
            scripts,
            fetched,
            destination,
            assemble_user,
            assemble_input_files: source.input_files(),
            on_build: config.list("OnBuild"),
        })
    }

    /// The location of the scripts of `image` by its labels; `None` without such a label.
    ///
    /// # Errors
    /// [`BuilderError::Contract`] if it is neither a path in the image nor a URL.
    pub fn scripts_source(image: &str, config: &ImageConfig) -> Result<Option<ScriptsSource>, BuilderError> {
        let source = Source { image, config };
        source.first(&SCRIPTS_LABELS, SCRIPTS_VARIABLE).map(|value| value.scripts()).transpose()
    }

    /// The directory of the scripts in `image` by its labels; `None` without such a label, or if they are elsewhere.
    ///
    /// # Errors
    /// [`BuilderError::Contract`] if it is neither a path in the image nor a URL.
    pub fn scripts_of(image: &str, config: &ImageConfig) -> Result<Option<ImagePath>, BuilderError> {
        Ok(match Self::scripts_source(image, config)? {
            Some(ScriptsSource::Image(directory)) => Some(directory),
            Some(ScriptsSource::Url(_) | ScriptsSource::Directory(_)) | None => None,
        })
    }

    /// The directory in `image` to which `src`, `scripts` and `artifacts` are uploaded.
    ///
    /// # Errors
    /// [`BuilderError::Contract`] if its label is not a path in the image.
    pub fn destination_of(image: &str, config: &ImageConfig) -> Result<ImagePath, BuilderError> {
        match (Source { image, config }).first(&DESTINATION_LABELS, DESTINATION_VARIABLE) {
            Some(value) => value.path(value.value),
            None => Ok(ImagePath::new(DEFAULT_DESTINATION).expect("absolute and normal")),
        }
    }

    /// The user that runs `assemble` in `image`: the user of the request, of the label, of the image. Empty means root.
    ///
    /// # Errors
    /// [`BuilderError::Contract`] if its label is not a user, or is root and that is not allowed.
    pub fn user_of(
        image: &str,
        config: &ImageConfig,
        requested: Option<&str>,
        allow_root: bool,
    ) -> Result<String, BuilderError> {
        (Source { image, config }).user(ASSEMBLE_USER_LABEL, requested, allow_root)
    }

    /// The user that runs `assemble-runtime` in the runtime image, by the same rule.
    pub fn runtime_user_of(
        image: &str,
        config: &ImageConfig,
        requested: Option<&str>,
        allow_root: bool,
    ) -> Result<String, BuilderError> {
        (Source { image, config }).user(ASSEMBLE_RUNTIME_USER_LABEL, requested, allow_root)
    }

    /// The files that the runtime image takes from a build, by its label.
    pub fn input_files_of(image: &str, config: &ImageConfig) -> Vec<String> {
        (Source { image, config }).input_files()
    }

    /// The error for an entry of this list.
    pub fn invalid_input_file(image: &str, config: &ImageConfig, reason: &str) -> BuilderError {
        let value = config.label(INPUT_FILES_LABEL);
        ContractValue { image, name: INPUT_FILES_LABEL, value: value.unwrap_or_default() }
            .refused(reason, None)
    }
}

struct Source<'a> {
    image: &'a str,
    config: &'a ImageConfig,
}

impl<'a> Source<'a> {
    /// A label that is not empty. S2I ignores an empty one.
    fn label(&self, name: &'static str) -> Option<ContractValue<'a>> {
        self.value(name, self.config.label(name))
    }

    fn value(&self, name: &'static str, value: Option<&'a str>) -> Option<ContractValue<'a>> {
        let value = value.filter(|value| !value.trim().is_empty())?;
        Some(ContractValue { image: self.image, name, value })
    }

    fn first(&self, labels: &[&'static str], variable: &'static str) -> Option<ContractValue<'a>> {
        let label = labels.iter().find_map(|name| self.label(name));
        label.or_else(|| self.value(variable, self.config.env(variable)))
    }

    /// The user of the request, of the label, of the image. Empty means root.
    fn user(
        &self,
        label: &'static str,
        requested: Option<&str>,
        allow_root: bool,
    ) -> Result<String, BuilderError> {
        match (requested, self.label(label)) {
            (Some(requested), _) => Ok(requested.to_owned()),
            (None, Some(value)) => value.user(allow_root),
            (None, None) => Ok(self.config.user().to_owned()),
        }
    }

    fn input_files(&self) -> Vec<String> {
        let value = self.label(INPUT_FILES_LABEL).map(|value| value.value).unwrap_or_default();
        value.split(';').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
    }
}

/// A label or variable with its value.
#[derive(Clone, Copy)]
struct ContractValue<'a> {
    image: &'a str,
    name: &'static str,
    value: &'a str,
}

impl ContractValue<'_> {
    fn refused(&self, reason: &str, hint: Option<&str>) -> BuilderError {
        BuilderError::Contract {
            image: self.image.to_owned(),
            name: self.name.to_owned(),
            value: shown(self.value),
            reason: reason.to_owned(),
            hint: hint.map(Into::into),
        }
    }

    fn path(&self, path: &str) -> Result<ImagePath, BuilderError> {
        if path.len() > MAXIMUM_VALUE || path.chars().any(char::is_control) {
            return Err(self.refused("which is not a path", None));
        }
        if path.split('/').any(|component| component == ".") || path.trim() != path {
            return Err(self.refused("which is not a normal path", None));
        }
        let path = ImagePath::new(path)
            .map_err(|_| self.refused("which is not an absolute path without `.` and `..`", None))?;
        if path.as_str() == "/" {
            return Err(self.refused("which is the root directory", None));
        }
        Ok(path)
    }

    /// `image:///usr/libexec/s2i`, or as in S2I the URL of a directory with the scripts. They run in the builder's container, as
    /// its own do.
    fn scripts(&self) -> Result<ScriptsSource, BuilderError> {
        let value = self.value.trim();
        if let Some(path) = value.strip_prefix("image://") {
            return self.path(path).map(ScriptsSource::Image);
        }
        let lower = value.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        let place = match &lower {
            Some((scheme, rest)) if matches!(scheme.as_str(), "http" | "https" | "file") => {
                format!("{scheme}://{rest}").parse().ok()
            }
            _ => None,
        };
        let is_named = |place: &ScriptsSource| match place {
            ScriptsSource::Directory(directory) => directory.is_absolute(),
            ScriptsSource::Url(_) | ScriptsSource::Image(_) => true,
        };
        let is_text = value.len() <= MAXIMUM_VALUE && !value.chars().any(char::is_control);
        let place = place.filter(|place| is_text && is_named(place));
        place
            .ok_or_else(|| self.refused("which is not of the form `image:///DIRECTORY`, and not a URL", None))
    }

    /// `uid`, `name`, `uid:gid` or `name:group`.
    fn user(&self, allow_root: bool) -> Result<String, BuilderError> {
        let value = self.value;
        let (user, group) = match value.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (value, None),
        };
        if !is_account(user) || !group.is_none_or(is_account) {
            return Err(self.refused("which is not a user (expected `UID`, `UID:GID` or names)", None));
        }
        let root = user == "root" || user.bytes().all(|byte| byte == b'0');
        if root && !allow_root {
            return Err(self.refused(
                "but a label may not make `assemble` run as root",
                Some("allow it with `--allow-root`, or pass another user with `--assemble-user UID`"),
            ));
        }
        Ok(value.to_owned())
    }
}

/// Whether it is a valid number of an account, or a name as useradd(8) makes them.
fn is_account(text: &str) -> bool {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Some engines cut larger numbers to 32 bits, and 2³² would be root.
        return text.parse::<i32>().is_ok();
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let starts_well = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.len() <= 64 && text.bytes().next().is_some_and(starts_well) && text.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diagnostic::{Diagnostic, FailureKind};

    fn config(labels: &[(&str, &str)], env: &[&str]) -> ImageConfig {
        let labels: std::collections::BTreeMap<&str, &str> = labels.iter().copied().collect();
        let config = json!({"config": {"Labels": labels, "Env": env, "OnBuild": ["RUN make"]}});
        ImageConfig::parse(config.to_string().as_bytes()).expect("valid")
    }

    const SCRIPTS: (&str, &str) = ("io.openshift.s2i.scripts-url", "image:///usr/libexec/s2i");

    fn read(labels: &[(&str, &str)], env: &[&str]) -> Result<S2iContract, BuilderError> {
        S2iContract::read("team/builder:1", &config(labels, env), None, false)
    }

    #[test]
    fn reads_labels_before_older_labels_before_variables() {
        let old = ("io.s2i.scripts-url", "image:///old");
        let variables = ["STI_SCRIPTS_URL=image:///oldest", "STI_LOCATION=/var/sti"];
        let scripts = |labels: &[(&str, &str)]| read(labels, &variables).expect("valid").scripts.to_string();
        assert_eq!(scripts(&[SCRIPTS, old]), "/usr/libexec/s2i");
        assert_eq!(scripts(&[old]), "/old");
        assert_eq!(scripts(&[]), "/oldest");
        assert_eq!(scripts(&[("io.openshift.s2i.scripts-url", ""), old]), "/old");
        assert_eq!(read(&[], &variables).expect("valid").destination.as_str(), "/var/sti");
    }

    #[test]
    fn reads_the_rest() {
        let contract = read(
            &[
                SCRIPTS,
                ("io.openshift.s2i.destination", "/opt/s2i"),
                ("io.openshift.s2i.assemble-user", "1001:0"),
                ("io.openshift.s2i.assemble-input-files", "/opt/app-root/app:lib; /deployments"),
            ],
            &[],
        )
        .expect("valid");
        assert_eq!(contract.destination.as_str(), "/opt/s2i");
        assert_eq!(contract.assemble_user.as_deref(), Some("1001:0"));
        assert_eq!(contract.assemble_input_files, ["/opt/app-root/app:lib", "/deployments"]);
        assert_eq!(contract.on_build, ["RUN make"]);
        assert_eq!(contract.scripts.as_str(), "/usr/libexec/s2i");
        let contract = read(&[SCRIPTS], &[]).expect("valid");
        assert_eq!((contract.destination.as_str(), contract.assemble_user), ("/tmp", None));
    }

    #[test]
    fn an_image_without_scripts_is_no_builder() {
        let error = read(&[("io.openshift.s2i.destination", "/opt")], &[]).expect_err("no builder");
        assert_eq!(error.kind(), FailureKind::Builder);
        assert!(error.to_string().contains("`team/builder:1` is not a builder image"), "{error}");
    }

    #[test]
    fn believes_only_places_in_the_image() {
        for url in [
            "http://",
            "file://tmp/s2i",
            "file://",
            "https://host/a\nb",
            "image://usr/libexec",
            "/usr/libexec/s2i",
            "image:///usr/../s2i",
            "image:///",
            "image:///a/./b",
            "ftp://x",
            "image:///a\nb",
        ] {
            let error = read(&[("io.openshift.s2i.scripts-url", url)], &[]).expect_err(url);
            assert!(matches!(error, BuilderError::Contract { .. }), "{error}");
        }
        for destination in ["tmp", "/tmp/../etc", "/tmp/./x", "/", "/tmp\0x", " /tmp"] {
            let labels = [SCRIPTS, ("io.openshift.s2i.destination", destination)];
            assert!(read(&labels, &[]).is_err(), "{destination:?}");
        }
    }

    #[test]
    fn scripts_from_elsewhere_are_uploaded() {
        for url in ["http://host/s2i", "HTTPS://host/s2i", "file:///tmp/s2i"] {
            let contract = read(&[("io.openshift.s2i.scripts-url", url)], &[]).expect(url);
            assert_eq!(contract.scripts.as_str(), "/tmp/scripts", "{url}");
            assert!(contract.fetched.is_some(), "{url}");
            let old = format!("STI_SCRIPTS_URL={url}");
            assert_eq!(read(&[], &[&old]).expect(url), contract, "{url}");
        }
        assert_eq!(read(&[SCRIPTS], &[]).expect("valid").fetched, None);
    }

    #[test]
    fn a_label_makes_nobody_root() {
        let labels = |user| [SCRIPTS, ("io.openshift.s2i.assemble-user", user)];
        for user in ["0", "root", "0:0", "root:root", "00", "0:1001"] {
            let error = read(&labels(user), &[]).expect_err(user);
            assert!(error.hints()[0].contains("--allow-root"), "{user}");
            let allowed = S2iContract::read("b", &config(&labels(user), &[]), None, true).expect(user);
            assert_eq!(allowed.assemble_user.as_deref(), Some(user));
            let named = S2iContract::read("b", &config(&labels(user), &[]), Some("1002"), false).expect(user);
            assert_eq!(named.assemble_user.as_deref(), Some("1002"));
        }
        for user in [":0", "1001:", "a b", "-1", "+0", "4294967296", "1:2:3", "a\nb", "0x0"] {
            assert!(S2iContract::read("b", &config(&labels(user), &[]), None, true).is_err(), "{user:?}");
        }
        for user in ["1001", "default", "1001:0", "app:root"] {
            assert!(read(&labels(user), &[]).is_ok(), "{user}");
        }
    }
}
