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

    /// Whether the class refers to a package such as `javax/servlet/`: by a class's name or in a descriptor
    /// (`(Ljavax/servlet/http/HttpServletRequest;)V`).
    pub(super) fn refers_to(&self, package: &[u8]) -> bool {
        self.names.iter().any(|name| {
            name.starts_with(package)
                || name.windows(package.len() + 1).any(|window| window[0] == b'L' && &window[1..] == package)
        })
    }

    /// Whether the class has the name and the descriptor of `main(String[])`.
    pub(super) fn may_have_main_method(&self) -> bool {
        [&b"main"[..], b"([Ljava/lang/String;)V"].iter().all(|name| self.names.contains(name))
    }
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
            ConstantPool::parse(&bytes).expect("a class").refers_to(b"jakarta/servlet/")
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
            let _ = ConstantPool::parse(&bytes[..length]).map(|pool| pool.refers_to(b"javax/servlet/"));
        }
        let pool = ConstantPool::parse(&bytes[..bytes.len() - 14]).expect("a class");
        assert!(pool.refers_to(b"javax/servlet/"));
    }
}
