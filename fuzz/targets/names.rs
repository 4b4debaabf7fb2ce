//! Text → image name, prefix of a mirror, platform, digest. What is read is written as it is read.
#![no_main]

use b2i::image::reference::RepositoryPrefix;
use b2i::image::{Digest, ImagePath, ImageReference, Platform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<ImageReference>() {
        let full = name.to_string();
        assert_eq!(full.parse::<ImageReference>().expect("a full name is a name"), name);
        assert_eq!(name.familiar().parse::<ImageReference>().expect("a familiar name is a name"), name);
        assert!(name.tag().is_some() || name.digest().is_some());
        assert!(name.name().len() <= 255);
        // They become parts of a URL.
        let is_safe = |text: &str| !text.contains(['?', '#', '%', '\\', ' ', '@']) && !text.contains("..");
        assert!(is_safe(name.registry()) && is_safe(name.repository()));
        assert!(!name.repository().contains("//") && !name.registry().contains('/'));
    }
    if let Ok(prefix) = text.parse::<RepositoryPrefix>() {
        assert_eq!(prefix.to_string().parse::<RepositoryPrefix>().as_ref(), Ok(&prefix));
        let within = format!("{}/{}", prefix.registry(), prefix.within("library/app"));
        assert!(within.starts_with(text), "{within}");
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().as_ref(), Ok(&platform));
        assert!(platform.matches(&platform));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        // Bare digits come from checksum files; a digest with its algorithm has one form.
        let whole =
            if text.contains(':') { text.to_owned() } else { format!("sha256:{}", text.to_lowercase()) };
        assert_eq!(digest.to_string(), whole);
    }
    if let Ok(path) = ImagePath::new(text) {
        assert_eq!(ImagePath::new(path.as_str()).as_ref(), Ok(&path));
        assert!(path.as_str().starts_with('/') && !path.as_str().split('/').any(|part| part == ".."));
    }
});
