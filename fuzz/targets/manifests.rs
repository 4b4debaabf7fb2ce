//! Bytes → manifest or index, image config with the S2I contract in it, `image_metadata.json`. The first byte says how
//! the manifest was announced.
#![no_main]

use b2i::builder::{S2iContract, image_metadata::parse_image_metadata};
use b2i::image::{ConfigEdits, Digest, ImageConfig, LayerCompression, Manifest, ManifestFormat, Platform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let announced = match choice % 6 {
        0 => Some(ManifestFormat::Oci.manifest()),
        1 => Some(ManifestFormat::Oci.index()),
        2 => Some(ManifestFormat::Docker.manifest()),
        3 => Some(ManifestFormat::Docker.index()),
        4 => Some("application/json; charset=utf-8"),
        _ => None,
    };
    match Manifest::parse(bytes, announced) {
        Ok(manifest) => check_manifest(&manifest),
        Err(error) => drop(error.to_string()),
    }
    if let Ok(config) = ImageConfig::parse(bytes) {
        check_config(config);
    }
    if let Ok(labels) = parse_image_metadata(bytes) {
        assert!(labels.iter().all(|(name, _)| !name.is_empty()));
    }
});

fn check_manifest(manifest: &Manifest) {
    let bytes = match manifest {
        Manifest::Image(image) => {
            for layer in &image.layers {
                let _ = LayerCompression::of_media_type(&layer.media_type);
            }
            let _ = image.format();
            image.to_bytes()
        }
        Manifest::Index(index) => {
            for platform in index.platforms() {
                assert!(index.for_platform(&platform).is_some(), "{platform}");
            }
            let _ = index.for_platform(&Platform::host());
            index.to_bytes()
        }
    };
    assert_eq!(Manifest::parse(&bytes, None).as_ref(), Ok(manifest));
}

fn check_config(mut config: ImageConfig) {
    let before = config.diff_ids().expect("checked by parsing");
    let contract = S2iContract::read("image", &config, None, false);
    if let Ok(contract) = contract {
        assert_ne!(contract.assemble_user.as_deref(), Some("root"));
        let _ = contract.scripts.join("assemble");
    }
    let _ = (config.platform(), config.labels(), config.env("PATH"), config.exposed_ports());
    let _ = (config.user(), config.working_dir(), config.list("Entrypoint"), config.list("OnBuild"));
    let edits = ConfigEdits {
        removed_env: ["ARGS".to_owned()].into(),
        env: vec![("PATH".into(), "/bin".into())],
        labels: [("a".to_owned(), "b".to_owned())].into(),
        exposed_ports: vec!["8080/tcp".into()],
        entrypoint: Some(vec!["run".into()]),
        cmd: Some(Vec::new()),
        health_cmd: Some(String::new()),
        reset_on_build: true,
        created: "1980-01-01T00:00:00Z".into(),
        ..ConfigEdits::default()
    };
    let layer = Digest::of(b"layer");
    config.apply(&edits, &[layer]);
    let read = ImageConfig::parse(&config.to_bytes()).expect("what was edited is a config");
    assert_eq!(read.env("PATH"), Some("/bin"));
    assert_eq!(read.label("a"), Some("b"));
    assert_eq!(read.list("Entrypoint"), ["run"]);
    assert!(read.list("OnBuild").is_empty());
    assert_eq!(read.diff_ids().expect("a config"), [before, vec![layer]].concat());
}
