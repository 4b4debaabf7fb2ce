//! Owns mirrors: other registries, and layouts with images by their public names. Must not send a request.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::source::ResolveOptions;
use super::{Registries, RegistryError};
use crate::blocking::blocking;
use crate::events::Step;
use crate::image::reference::RepositoryPrefix;
use crate::image::{BaseImage, ImageReference, ManifestTree, Platform};
use crate::store::layout::{Layout, LayoutError, LayoutReference};
use crate::store::resolved::ResolvedImage;
use crate::text::as_text;
use crate::transport::Location;

/// The place from which images of a registry are read first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    Registry(RepositoryPrefix),
    /// A directory or an archive, without a tag.
    Layout(Location),
}

/// A text that is not a mirror.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidMirror(String);

impl Mirror {
    /// Resolves its path, if it has one, against `directory`.
    pub(crate) fn resolve_against(&mut self, directory: &Path) {
        match self {
            Self::Registry(_) => {}
            Self::Layout(location) => location.resolve_against(directory),
        }
    }

    pub(super) fn prefix(&self) -> Option<&RepositoryPrefix> {
        match self {
            Self::Registry(prefix) => Some(prefix),
            Self::Layout(_) => None,
        }
    }

    fn layout(&self) -> Option<&Location> {
        match self {
            Self::Registry(_) => None,
            Self::Layout(location) => Some(location),
        }
    }
}

as_text!(Mirror);

impl fmt::Display for Mirror {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(prefix) => write!(formatter, "{prefix}"),
            Self::Layout(location) => write!(formatter, "{location}"),
        }
    }
}

impl FromStr for Mirror {
    type Err = InvalidMirror;

    /// Parses `host[:port][/path]`, `oci:DIR` or `oci-archive:FILE`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !["oci:", "oci-archive:"].iter().any(|scheme| text.starts_with(scheme)) {
            let prefix = text.parse::<RepositoryPrefix>();
            return prefix.map(Self::Registry).map_err(|error| InvalidMirror(error.to_string()));
        }
        let location = text.parse::<Location>().map_err(|error| InvalidMirror(error.to_string()))?;
        if location.tag.is_some() || location.digest.is_some() {
            let message =
                format!("`{text}` is not a valid mirror: a mirror is a whole layout, without a tag");
            return Err(InvalidMirror(message));
        }
        Ok(Self::Layout(location))
    }
}

impl Registries {
    /// Whether a layout may have images of this registry.
    pub fn has_layouts(&self, reference: &ImageReference) -> bool {
        self.mirrors_of(reference).iter().any(|mirror| mirror.layout().is_some())
    }

    /// The base image in the first layout that has it.
    pub async fn base_in_layout(&self, reference: &ImageReference, platform: &Platform) -> Option<BaseImage> {
        let options = ResolveOptions { platform: Some(platform.clone()), ..ResolveOptions::default() };
        let (image, place) = self.image_in_layout(reference, &options).await?;
        self.shared.events.start(Step::Base, image.name.clone(), None).finish(from(&place));
        Some(image.into_base())
    }

    /// The image in the first layout that has it, and the layout.
    pub(super) async fn image_in_layout(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Option<(ResolvedImage, Location)> {
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let read = move |layout: &Layout, found: &LayoutReference| layout.resolve(found, &platform);
        let (image, place) = self.in_layout(reference, read).await?;
        Some((ResolvedImage { name: reference.familiar(), ..image }, place))
    }

    /// The manifest or index in the first layout that has it.
    pub(super) async fn tree_in_layout(&self, reference: &ImageReference) -> Option<ManifestTree> {
        let (tree, _) = self.in_layout(reference, Layout::tree).await?;
        Some(ManifestTree { name: reference.familiar(), ..tree })
    }

    async fn in_layout<T: Send + 'static>(
        &self,
        reference: &ImageReference,
        read: impl Fn(&Layout, &LayoutReference) -> Result<T, LayoutError> + Clone + Send + 'static,
    ) -> Option<(T, Location)> {
        for mirror in self.mirrors_of(reference) {
            let Mirror::Layout(location) = mirror else { continue };
            let (path, wanted, read) = (location.layout().path, reference.clone(), read.clone());
            let found = blocking(move || {
                let layout = Layout::open(&path)?;
                layout.find(&wanted).map(|found| read(&layout, &found)).transpose()
            });
            match found.await {
                Ok(Some(image)) => return Some((image, location)),
                Ok(None) => tracing::debug!(mirror = %location, image = %reference, "not in the layout"),
                Err(error) => {
                    let error = RegistryError::from(error);
                    let image = reference.familiar();
                    self.shared.events.note(format!("the mirror `{location}` failed for `{image}`: {error}"));
                }
            }
        }
        None
    }

    fn mirrors_of(&self, reference: &ImageReference) -> Vec<Mirror> {
        self.shared.settings.host(reference.registry()).mirrors
    }
}

/// The end of a step: where the image was found.
pub(super) fn from(place: &Location) -> String {
    format!("from `{place}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_registry_or_a_whole_layout() {
        let mirror = |text: &str| text.parse::<Mirror>();
        assert_eq!(mirror("mirror.example/hub").expect("a registry").to_string(), "mirror.example/hub");
        for text in ["oci:/mnt/bases", "oci-archive:/mnt/bases.tar"] {
            let found = mirror(text).expect(text);
            assert!(matches!(found, Mirror::Layout(_)) && found.to_string() == text, "{text}");
        }
        for text in ["", "http://mirror.example", "docker-archive:/a.tar", "oci:", "oci:/mnt/bases:1"] {
            assert!(mirror(text).is_err(), "{text}");
        }
        let mut relative = mirror("oci:bases").expect("a layout");
        relative.resolve_against(Path::new("/etc/b2i"));
        assert_eq!(relative.to_string(), "oci:/etc/b2i/bases");
    }
}
