//! Reading: the right image, and none that is hostile.

use super::*;
use crate::image::Config;

#[tokio::test]
async fn hostile_layouts_are_refused() {
    let place = Place::new();
    let path = place.path("layout");
    let written = place.write(&image(b"content"), "layout", &options(&["app:1"])).expect("writes");
    let resolved = resolve(&path, "").expect("whole");
    let blob = path.join(BLOBS).join(blob_of(&written).clone().digest.hex());
    let bytes = fs::read(&blob).expect("reads");
    let layer = &resolved.manifest.layers[0];
    // A link out of the layout, even to the right bytes; a link inside of it; a pipe.
    fs::write(place.path("outside"), &bytes).expect("writes");
    let replace = |make: &dyn Fn(&Path)| {
        fs::remove_file(&blob).expect("removes");
        make(&blob);
    };
    replace(&|blob| symlink(place.path("outside"), blob).expect("links"));
    read(&*resolved.blobs, layer).await.expect_err("outside");
    fs::write(path.join("inside"), &bytes).expect("writes");
    replace(&|blob| symlink("../../inside", blob).expect("links"));
    assert_eq!(read(&*resolved.blobs, layer).await, Ok(bytes.clone()));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    replace(&|blob| rustix::fs::mkfifoat(rustix::fs::CWD, blob, mode).expect("a pipe"));
    read(&*resolved.blobs, layer).await.expect_err("a pipe, and nobody writes");
    // Other bytes, more bytes.
    replace(&|blob| fs::write(blob, vec![0; bytes.len()]).expect("writes"));
    let error = read(&*resolved.blobs, layer).await.expect_err("other bytes");
    assert!(error.contains("expected the blob"), "{error}");
    fs::write(&blob, [&bytes[..], b"x"].concat()).expect("writes");
    read(&*resolved.blobs, layer).await.expect_err("more bytes");
    // An index that holds itself cannot be made; one that is absurdly large can.
    fs::write(path.join(INDEX_FILE), vec![b' '; 5 << 20]).expect("writes");
    assert!(Layout::open(&path).expect_err("too large").to_string().contains("the limit is"));
    fs::remove_file(path.join(LAYOUT_FILE)).expect("removes");
    assert!(Layout::open(&path).expect_err("no layout").to_string().contains("oci-layout"));
    Layout::open(&place.path("absent")).expect_err("absent");
    Layout::open(Path::new("/dev/null")).expect_err("a device");
}

#[test]
fn the_image_for_the_platform_is_found() {
    let place = Place::new();
    let (amd64, mut arm64) = (image(b"amd64"), image(b"arm64"));
    arm64.base.config = ImageConfig::empty(&Platform::linux("arm64"));
    let config = arm64.base.config.clone();
    arm64.config = Config::After(Arc::new(move |written: &[WrittenLayer]| {
        let mut config = config.clone();
        config.apply(&ConfigEdits::default(), &[written[0].diff_id]);
        config
    }));
    let one = place.write(&amd64, "layout", &options(&[])).expect("writes");
    let other = place.write(&arm64, "layout", &options(&[])).expect("writes");
    let layout = Layout::open(&place.path("layout")).expect("opens");
    let reference: LayoutReference = "layout".parse().expect("valid");
    let find = |architecture| {
        let found = layout.resolve(&reference, &Platform::linux(architecture));
        found.map(|image| image.descriptor.digest)
    };
    assert_eq!(find("amd64").expect("found"), one.manifest.digest);
    assert_eq!(find("arm64").expect("found"), other.manifest.digest);
    let error = find("s390x").expect_err("not there").to_string();
    assert!(error.contains("linux/s390x") && error.contains("linux/arm64"), "{error}");
    // Behind an index of its own.
    let inner = fs::read(place.path("layout").join(INDEX_FILE)).expect("reads");
    let digest = Digest::of(&inner);
    fs::write(place.path("layout").join(BLOBS).join(digest.hex()), &inner).expect("writes");
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [
        {"mediaType": ManifestFormat::Oci.index(), "digest": digest, "size": inner.len(),
         "annotations": {REF_NAME: "1"}}]});
    fs::write(place.path("layout").join(INDEX_FILE), outer.to_string()).expect("writes");
    let layout = Layout::open(&place.path("layout")).expect("opens");
    let reference: LayoutReference = "layout:1".parse().expect("valid");
    let found = layout.resolve(&reference, &Platform::linux("arm64")).expect("found");
    assert_eq!(found.descriptor.digest, other.manifest.digest);
}

#[test]
fn references_are_read() {
    let digest = Digest::of(b"");
    for (text, path, tag, with_digest) in [
        ("a", "a", None, false),
        ("./a/b.tar:1.0", "./a/b.tar", Some("1.0"), false),
        ("/a:b/c", "/a:b/c", None, false),
        (&format!("a@{digest}"), "a", None, true),
        ("user@host/a", "user@host/a", None, false),
    ] {
        let found: LayoutReference = text.parse().expect("valid");
        let expected = LayoutReference {
            path: path.into(),
            tag: tag.map(str::to_owned),
            digest: with_digest.then_some(digest),
        };
        assert_eq!(found, expected, "{text}");
        assert_eq!(found.to_string(), text);
    }
    for text in ["", ":1", "@sha256:0", "a@sha256:xyz"] {
        text.parse::<LayoutReference>().expect_err(text);
    }
}
