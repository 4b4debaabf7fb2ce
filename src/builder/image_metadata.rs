//! Owns the format of `/tmp/.s2i/image_metadata.json`, in which an `assemble` script sets labels.
//!
//! Must not know the labels of b2i and of the user, which have precedence. Source: S2I, "builder image contract".

use serde_json::{Map, Value};

use super::error::{BuilderError, shown};

pub const IMAGE_METADATA_PATH: &str = "/tmp/.s2i/image_metadata.json";

/// Largest file, in bytes: every character of a label may be escaped (`\u0041`), and white space does not count.
pub const IMAGE_METADATA_LIMIT: u64 = 128 << 10;

/// Largest total of all names and values, in bytes, as in S2I.
const MAXIMUM_LABELS: usize = 10 << 10;

/// Reads the labels in their order. A later one replaces an earlier one of the same name.
///
/// # Errors
/// [`BuilderError::ImageMetadata`] if it is not JSON of the form `{"labels": [{"name": "value"}, …]}`, a value is not a
/// string, or the labels are larger than S2I allows.
pub fn parse_image_metadata(bytes: &[u8]) -> Result<Vec<(String, String)>, BuilderError> {
    let invalid = |reason: String| BuilderError::ImageMetadata(reason);
    if bytes.len() as u64 > IMAGE_METADATA_LIMIT {
        return Err(invalid(format!("it is larger than {IMAGE_METADATA_LIMIT} bytes")));
    }
    let mut file: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    let listed: Option<Vec<Map<String, Value>>> =
        serde_json::from_value(file.remove("labels").unwrap_or_default())
            .map_err(|error| invalid(format!("`labels` is not a list of objects: {error}")))?;
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut size = 0;
    for (name, value) in listed.into_iter().flatten().flatten() {
        let Value::String(value) = value else {
            return Err(invalid(format!("the label `{}` has a value that is not a string", shown(&name))));
        };
        if name.is_empty() || name.contains('\0') || value.contains('\0') {
            return Err(invalid(format!("`{}` is not a valid label", shown(&name))));
        }
        size += name.len() + value.len();
        if size > MAXIMUM_LABELS {
            return Err(invalid(format!("its labels have more than the {MAXIMUM_LABELS} bytes allowed")));
        }
        match labels.iter_mut().find(|(earlier, _)| *earlier == name) {
            Some(earlier) => earlier.1 = value,
            None => labels.push((name, value)),
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_in_order() {
        let json = br#"{"labels": [{"b": "1", "a": "2"}, {"c": ""}, {"b": "3"}], "other": true}"#;
        let labels = parse_image_metadata(json).expect("valid");
        let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["b=3", "a=2", "c="]);
        for empty in ["{}", r#"{"labels":null}"#, r#"{"labels":[]}"#] {
            assert_eq!(parse_image_metadata(empty.as_bytes()), Ok(Vec::new()));
        }
    }

    #[test]
    fn refuses_what_s2i_would_fall_over() {
        for json in [
            "",
            "[]",
            "{",
            r#"{"labels":{}}"#,
            r#"{"labels":[1]}"#,
            r#"{"labels":[{"a":1}]}"#,
            r#"{"labels":[{"a":null}]}"#,
            r#"{"labels":[{"":"x"}]}"#,
            r#"{"labels":[{"a":["x"]}]}"#,
            "{\"labels\":[{\"a\":\"\\u0000\"}]}",
        ] {
            assert!(
                matches!(parse_image_metadata(json.as_bytes()), Err(BuilderError::ImageMetadata(_))),
                "{json}"
            );
        }
        assert!(parse_image_metadata("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn the_size_is_limited_as_in_s2i() {
        let of_size = |size: usize| format!(r#"{{"labels":[{{"a":"{}"}}]}}"#, "x".repeat(size - 1));
        assert!(parse_image_metadata(of_size(10 << 10).as_bytes()).is_ok());
        assert!(parse_image_metadata(of_size((10 << 10) + 1).as_bytes()).is_err());
        assert!(parse_image_metadata(&vec![b' '; 200 << 10]).is_err());
    }
}
