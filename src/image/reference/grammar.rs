//! Owns the parts of image names: what a registry, a part of a repository's name, and a tag look like.
//!
//! Source: the grammar of distribution's "reference" package, and Docker's rules for short names.

/// Longest tag, in bytes.
const MAXIMUM_TAG: usize = 128;

/// Says whether the part before the first slash is a registry; Docker tells by its looks.
pub(super) fn names_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

pub(super) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        // An IPv6 address.
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                let valid = address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
                if address.is_empty() || !valid {
                    return false;
                }
                return port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
            }
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Words of `a-z0-9`, with one `.`, one or two `_`, or any number of `-` between them.
pub(super) fn is_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|byte| word(*byte)) && bytes.last().is_some_and(|byte| word(*byte));
    let mut separators =
        text.split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit());
    ends && separators.all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

pub(super) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAXIMUM_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}
