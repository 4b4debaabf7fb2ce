//! Owns editing a layout's `index.json`: adds an image under its names, and keeps everything else. Must not touch files.

use serde_json::{Map, Value, json};

use super::{IMAGE_NAME, REF_NAME};
use crate::image::{DescribedPlatform, Descriptor, ImageReference, ManifestFormat, Platform};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct IndexDocument(Map<String, Value>);

impl IndexDocument {
    pub(super) fn empty() -> Self {
        let mut map = Map::new();
        map.insert("schemaVersion".into(), json!(2));
        map.insert("mediaType".into(), json!(ManifestFormat::Oci.index()));
        map.insert("manifests".into(), json!([]));
        Self(map)
    }

    /// Parses an index. The error is the reason why it is not one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let map: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| format!("its index.json is not a JSON object: {error}"))?;
        if map.get("schemaVersion") != Some(&json!(2)) || !map.get("manifests").is_some_and(Value::is_array) {
            return Err("its index.json is not an index of images".into());
        }
        Ok(Self(map))
    }

    /// Adds an image, or an index without `platform`, under `tags`. Replaces entries with these names.
    pub(super) fn put(
        &mut self,
        manifest: &Descriptor,
        platform: Option<&Platform>,
        tags: &[ImageReference],
    ) {
        let Some(Value::Array(entries)) = self.0.get_mut("manifests") else { return };
        let mut entry = manifest.clone();
        entry.platform = platform.map(DescribedPlatform::from);
        if tags.is_empty() {
            let same = |old: &Value| old.get("digest") == Some(&json!(manifest.digest));
            if !entries.iter().any(same) {
                entries.push(json!(entry));
            }
        }
        for tag in tags {
            let (name, short) = (tag.to_string(), tag.tag().unwrap_or("latest"));
            entry.annotations = [(REF_NAME, short), (IMAGE_NAME, &*name)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
            let has_name = |old: &Value| {
                let annotation =
                    |key| old.get("annotations").and_then(|all| all.get(key)).and_then(Value::as_str);
                // Other tools write only the tag.
                annotation(REF_NAME) == Some(short)
                    && annotation(IMAGE_NAME).is_none_or(|old_name| old_name == name)
            };
            match entries.iter().position(has_name) {
                Some(first) => {
                    entries[first] = json!(entry);
                    let mut position = 0;
                    entries.retain(|old| {
                        position += 1;
                        position <= first + 1 || !has_name(old)
                    });
                }
                None => entries.push(json!(entry)),
            }
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("a map with string keys is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(document: &mut IndexDocument, content: &[u8], tags: &[&str]) {
        let tags: Vec<ImageReference> = tags.iter().map(|tag| tag.parse().expect("valid")).collect();
        let manifest = Descriptor::of(ManifestFormat::Oci.manifest(), content);
        document.put(&manifest, Some(&Platform::linux("amd64")), &tags);
    }

    fn names(document: &IndexDocument) -> Vec<(String, String)> {
        let text =
            |value: &Value| value.as_str().unwrap_or("-").rsplit('/').next().unwrap_or_default().to_owned();
        let entries = document.0["manifests"].as_array().expect("a list").iter();
        entries
            .map(|entry| (text(&entry["annotations"][REF_NAME]), text(&entry["annotations"][IMAGE_NAME])))
            .collect()
    }

    #[test]
    fn names_are_replaced_in_their_place_and_others_stay() {
        let other = json!({"schemaVersion": 2, "unknown": {"a": 1}, "manifests": [
            {"mediaType": "x", "digest": "sha512:1", "size": 1, "unknown": 2},
            {"mediaType": "x", "digest": "y", "size": 1, "annotations": {REF_NAME: "1"}},
            {"mediaType": "x", "digest": "y", "size": 1, "annotations": {REF_NAME: "1", IMAGE_NAME: "z/other:1"}},
        ]});
        let mut document = IndexDocument::parse(other.to_string().as_bytes()).expect("an index");
        put(&mut document, b"a", &["app:1", "team/app:2"]);
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        let expected = [pair("-", "-"), pair("1", "app:1"), pair("1", "other:1"), pair("2", "app:2")];
        assert_eq!(names(&document), expected);
        assert_eq!(document.0["unknown"], json!({"a": 1}));
        assert_eq!(document.0["manifests"][0], other["manifests"][0]);
        let before = document.clone();
        put(&mut document, b"a", &["app:1", "team/app:2"]);
        assert_eq!(document, before, "the same again changes nothing");
        put(&mut document, b"b", &["app:1"]);
        assert_eq!(names(&document), expected);
        assert_eq!(document.0["manifests"][1]["digest"], json!(crate::image::Digest::of(b"b")));
    }

    #[test]
    fn an_image_without_a_name_is_there_once() {
        let mut document = IndexDocument::empty();
        put(&mut document, b"a", &[]);
        put(&mut document, b"a", &[]);
        assert_eq!(names(&document).len(), 1);
        assert!(IndexDocument::parse(&document.to_bytes()).is_ok());
        for text in
            ["", "[]", "{}", r#"{"schemaVersion":2,"manifests":{}}"#, r#"{"schemaVersion":1,"manifests":[]}"#]
        {
            assert!(IndexDocument::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
