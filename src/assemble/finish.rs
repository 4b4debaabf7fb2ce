//! Owns the making of image configs: the one function through which every image b2i writes gets its config.

use crate::image::{ConfigEdits, Digest, ImageConfig};

/// Makes the config of the result from its base's.
///
/// `labels` are what a script left behind (`image_metadata.json`); they replace those of the base, as S2I has it, and
/// never one that `edits` sets: neither b2i's nor the user's.
/// `new_layers` are the digests of the uncompressed layers on top of the base, lowest first.
pub fn finish(
    base: &ImageConfig,
    edits: &ConfigEdits,
    labels: &[(String, String)],
    new_layers: &[Digest],
) -> ImageConfig {
    let mut config = base.clone();
    config.apply(edits, new_layers);
    for (name, value) in labels.iter().filter(|(name, _)| !edits.labels.contains_key(name)) {
        config.set_label(name, value);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Platform;

    #[test]
    fn a_script_label_replaces_the_bases_and_no_other() {
        let mut base = ImageConfig::empty(&Platform::linux("amd64"));
        base.set_label("tags", "of the base");
        let mut edits = ConfigEdits { created: "1980-01-01T00:00:00Z".into(), ..ConfigEdits::default() };
        edits.labels.insert("team".into(), "web".into());
        let labels = [("team".to_owned(), "evil".to_owned()), ("tags".to_owned(), "1".to_owned())];
        let config = finish(&base, &edits, &labels, &[Digest::of(b"layer")]);
        assert_eq!(config.label("team"), Some("web"));
        assert_eq!(config.label("tags"), Some("1"));
    }
}
