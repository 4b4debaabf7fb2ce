//! Owns making image configs: every image that b2i writes gets its config here. Must not know layers' contents.

use crate::image::{ConfigEdits, Digest, ImageConfig};

/// Makes a config from the base's.
///
/// `labels` come from a script (`image_metadata.json`). They replace labels of the base, as in S2I, but none
/// of `edits`. `new_layers` are digests of uncompressed layers, lowest first.
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
