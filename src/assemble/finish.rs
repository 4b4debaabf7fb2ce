//! Owns the making of image configs: the one function through which every image b2i writes gets its config.

use crate::image::{ConfigEdits, Digest, ImageConfig};

/// Makes the config of the result from its base's.
///
/// `labels` are what a script left behind (`image_metadata.json`); they never replace one that is set.
/// `new_layers` are the digests of the uncompressed layers on top of the base, lowest first.
pub fn finish(
    base: &ImageConfig,
    edits: &ConfigEdits,
    labels: &[(String, String)],
    new_layers: &[Digest],
) -> ImageConfig {
    let mut config = base.clone();
    config.apply(edits, new_layers);
    for (name, value) in labels {
        config.add_label(name, value);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Platform;

    #[test]
    fn a_script_label_never_replaces_one_that_is_set() {
        let base = ImageConfig::empty(&Platform::linux("amd64"));
        let mut edits = ConfigEdits { created: "1980-01-01T00:00:00Z".into(), ..ConfigEdits::default() };
        edits.labels.insert("team".into(), "web".into());
        let labels = [("team".to_owned(), "evil".to_owned()), ("new".to_owned(), "1".to_owned())];
        let config = finish(&base, &edits, &labels, &[Digest::of(b"layer")]);
        assert_eq!(config.label("team"), Some("web"));
        assert_eq!(config.label("new"), Some("1"));
    }
}
