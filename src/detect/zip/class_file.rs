//! Owns reading class files: the release that they need and the names that they refer to (JVMS §4).
//! Must not trust a length. `cafebabe` 0.9 was weighed: it needs a whole class, and b2i reads only the beginning.

use super::super::bounded_reader::{big_u16, big_u32};

const MAGIC: u32 = 0xcafe_babe;
/// The class version of Java 1.1. A Java release is the class version minus 44.
const FIRST_VERSION: u16 = 45;
const LAST_VERSION: u16 = 200;

/// The number of bytes that [`release`] needs.
pub(super) const RELEASE_BYTES: u64 = 8;

/// The lowest Java release that loads the class: 8 for version 52, 21 for 65.
pub(in super::super) fn release(bytes: &[u8]) -> Option<u32> {
    (big_u32(bytes, 0)? == MAGIC).then_some(())?;
    let version = big_u16(bytes, 6)?;
    (FIRST_VERSION..=LAST_VERSION).contains(&version).then(|| u32::from(version) - 44)
}

/// The `minor_version` of a class with preview features (JVMS §4.1).
const PREVIEW: u16 = u16::MAX;
const FIRST_WITH_PREVIEW: u32 = 12;
const PUBLIC_STATIC: u16 = 0x0009;

/// The Java releases that run some classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Releases {
    /// The lowest release that loads all classes; `None` without classes.
    pub(super) lowest: Option<u32>,
    /// The only release that loads the classes with preview features, if there are some.
    pub(super) preview: Option<u32>,
}

impl Releases {
    pub(super) fn of_class(bytes: &[u8]) -> Self {
        let lowest = release(bytes);
        let has_preview = big_u16(bytes, 4) == Some(PREVIEW);
        Self { lowest, preview: lowest.filter(|release| has_preview && *release >= FIRST_WITH_PREVIEW) }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { lowest: self.lowest.max(other.lowest), preview: self.preview.max(other.preview) }
    }

    /// Whether preview features decide: only one release runs the classes.
    pub(super) fn is_preview(self) -> bool {
        self.preview.is_some() && self.preview == self.lowest
    }
}

/// The constants of a class.
pub(super) struct ConstantPool<'a> {
    /// Modified UTF-8 constants that are names or descriptors, not the text of string literals.
    names: Vec<&'a [u8]>,
}

impl<'a> ConstantPool<'a> {
    /// Parses the pool, or the first part of one that ends early; `None` if it is not a class file.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        release(bytes)?;
        let count = big_u16(bytes, 8)?;
        let mut texts: Vec<(u16, &[u8])> = Vec::new();
        let mut literals: Vec<u16> = Vec::new();
        let (mut at, mut index) = (10, 1);
        while index < count {
            let Some((length, slots)) = constant_size(bytes, at) else { break };
            match bytes[at] {
                1 => texts.push((index, bytes.get(at + 3..at + length).unwrap_or_default())),
                8 => literals.extend(big_u16(bytes, at + 1)),
                _ => {}
            }
            at += length;
            index = index.saturating_add(slots);
        }
        literals.sort_unstable();
        let named = texts.into_iter().filter(|(index, _)| literals.binary_search(index).is_err());
        Some(Self { names: named.map(|(_, text)| text).collect() })
    }

    /// The parts behind `prefix` (such as `javax/`) of the names that the class refers to: of classes, and in descriptors
    /// (`(Ljavax/servlet/http/HttpServletRequest;)V`).
    pub(super) fn names_below<'p>(&'p self, prefix: &'p [u8]) -> impl Iterator<Item = &'a [u8]> + 'p {
        self.names.iter().flat_map(move |name| {
            let whole = name.strip_prefix(prefix);
            let windows = name.windows(prefix.len() + 1).enumerate();
            let matching = windows.filter(move |(_, window)| window[0] == b'L' && &window[1..] == prefix);
            let inner = matching.map(|(at, window)| &name[at + window.len()..]);
            whole.into_iter().chain(inner)
        })
    }
}

/// Whether a class has the method `public static void main(String[])`. `bytes` is the whole class; false if it is damaged.
pub(super) fn has_main_method(bytes: &[u8]) -> bool {
    find_main_method(bytes).unwrap_or(false)
}

/// Walks the class up to its methods (JVMS §4.1, §4.5, §4.6).
fn find_main_method(bytes: &[u8]) -> Option<bool> {
    release(bytes)?;
    let count = big_u16(bytes, 8)?;
    let (mut name, mut descriptor) = (None, None);
    let (mut at, mut index) = (10, 1);
    while index < count {
        let (length, slots) = constant_size(bytes, at)?;
        match bytes.get(at..at + length)? {
            [1, _, _, text @ ..] if text == b"main" => name = Some(index),
            [1, _, _, text @ ..] if text == b"([Ljava/lang/String;)V" => descriptor = Some(index),
            _ => {}
        }
        at += length;
        index = index.checked_add(slots)?;
    }
    let (name, descriptor) = (name?, descriptor?);
    // Behind the constants: access flags, this class, super class, interfaces.
    at += 8 + 2 * usize::from(big_u16(bytes, at + 6)?);
    at = members(bytes, at, &mut |_| {})?;
    let mut found = false;
    members(bytes, at, &mut |member| {
        found |= member[0] & PUBLIC_STATIC == PUBLIC_STATIC && member[1] == name && member[2] == descriptor;
    })?;
    Some(found)
}

/// Calls `visit` with the flags, name and descriptor of each field or method at `at`. Returns the end of the list.
fn members(bytes: &[u8], mut at: usize, visit: &mut dyn FnMut([u16; 3])) -> Option<usize> {
    let count = big_u16(bytes, at)?;
    at += 2;
    for _ in 0..count {
        visit([big_u16(bytes, at)?, big_u16(bytes, at + 2)?, big_u16(bytes, at + 4)?]);
        let attributes = big_u16(bytes, at + 6)?;
        at += 8;
        for _ in 0..attributes {
            at = at.checked_add(6)?.checked_add(usize::try_from(big_u32(bytes, at + 2)?).ok()?)?;
        }
    }
    Some(at)
}

/// The bytes and pool slots that the constant at `at` takes (JVMS §4.4).
fn constant_size(bytes: &[u8], at: usize) -> Option<(usize, u16)> {
    Some(match bytes.get(at)? {
        1 => (3 + usize::from(big_u16(bytes, at + 1)?), 1),
        3 | 4 | 9 | 10 | 11 | 12 | 17 | 18 => (5, 1),
        5 | 6 => (9, 2),
        7 | 8 | 16 | 19 | 20 => (3, 1),
        15 => (4, 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::class;
    use super::*;

    #[test]
    fn releases() {
        for (version, expected) in [(45u16, 1), (52, 8), (55, 11), (61, 17), (65, 21), (69, 25)] {
            let bytes = [&[0xca, 0xfe, 0xba, 0xbe, 0, 0][..], &version.to_be_bytes()].concat();
            assert_eq!(release(&bytes), Some(expected));
        }
        assert_eq!(release(b"\xca\xfe\xba\xbe\0\0\0\x02"), None);
        assert_eq!(release(b"\xca\xfe\xba\xbe\0\0\xff\xff"), None);
        assert_eq!(release(b"PK\x03\x04"), None);
    }

    #[test]
    fn references_are_names_and_descriptors_not_literals() {
        let refers = |names: &[&str], literals: &[&str]| {
            let bytes = class(17, names, literals);
            ConstantPool::parse(&bytes).expect("a class").names_below(b"jakarta/servlet/").next().is_some()
        };
        assert!(refers(&["jakarta/servlet/http/HttpServlet"], &[]));
        assert!(refers(&["(ILjakarta/servlet/http/HttpServletRequest;)V"], &[]));
        assert!(!refers(&["java/lang/Object"], &["jakarta/servlet/http/HttpServlet"]));
        assert!(!refers(&["org/jakarta/servlet/X"], &[]));
    }

    #[test]
    fn a_cut_class_gives_what_is_there() {
        let bytes = class(8, &["javax/servlet/Servlet", "main"], &[]);
        for length in 0..bytes.len() {
            let _ =
                ConstantPool::parse(&bytes[..length]).map(|pool| pool.names_below(b"javax/servlet/").count());
            assert!(!has_main_method(&bytes[..length]));
        }
        let pool = ConstantPool::parse(&bytes[..bytes.len() - 14]).expect("a class");
        assert!(pool.names_below(b"javax/servlet/").next().is_some());
    }
}
