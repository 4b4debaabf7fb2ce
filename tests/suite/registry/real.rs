//! Against a real registry: what is published is what other programs pull.

use b2i::image::{BaseImage, Descriptor, Digest, LayerSource, Platform};
use b2i::request::PullPolicy;
use b2i::store::builtin::static_base;
use b2i::store::registry::{RegistryError, ResolveOptions};

use super::{blob, layer, manifest, noise, on, plain, publish, reference, registries, settings, unique};
use crate::environment::TestEnvironment;

/// Pushes a base image with Docker, and gives its name.
fn pushed_base(environment: &TestEnvironment) -> String {
    let docker = environment.docker();
    let name = format!("{}/{}:1", environment.registry(), unique("base"));
    docker.stdout(&["tag", &environment.image("glibc:12"), &name]);
    docker.stdout(&["push", &name]);
    docker.stdout(&["image", "rm", &name]);
    name
}

fn descriptors(base: &BaseImage) -> Vec<Descriptor> {
    let blob = |layer: &LayerSource| match layer {
        LayerSource::Blob(blob, _) => blob.clone(),
        other => panic!("described, not {other:?}"),
    };
    base.layers.iter().map(blob).collect()
}

#[tokio::test]
async fn an_image_on_a_base_of_the_same_registry_runs() {
    let environment = TestEnvironment::get();
    let registries = registries(settings());
    let base = registries.resolve(&reference(&pushed_base(environment)), &ResolveOptions::default()).await;
    let base = base.expect("resolved");
    let below = descriptors(&base);
    let script = b"#!/bin/sh\necho it runs\n".to_vec();
    let name = format!("{}/{}", environment.registry(), unique("result"));
    let tags = [reference(&format!("{name}:1")), reference(&format!("{name}:2"))];
    let image = on(base, layer("/hello", script, 0o755));
    let blobs = plain();
    let published = publish(&registries, &image, &tags, &blobs).await.expect("published");

    for daemon in environment.daemons() {
        let _owned = daemon.adopted_image(&tags[0].familiar());
        daemon.stdout(&["pull", &tags[0].familiar()]);
        let output = daemon.run(&["--entrypoint", "/hello", &tags[0].familiar()]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "it runs\n", "{}", daemon.name);
        let inspected = daemon.inspect_image(&tags[0].familiar()).expect("pulled");
        assert!(inspected["Id"].as_str().is_some_and(|id| id.ends_with(&published.image_id.hex())));
    }
    // Read back by itself: the same, under both tags; and a repeat changes nothing.
    for tag in &tags {
        let again = registries.resolve(tag, &ResolveOptions::default()).await.expect("resolved");
        assert_eq!(again.manifest_digest, Some(manifest(&published).digest));
        let layers = descriptors(&again);
        assert_eq!(layers.last(), Some(blob(&published)));
        assert_eq!(layers[..layers.len() - 1], below);
    }
    assert_eq!(publish(&registries, &image, &tags, &blobs).await.expect("published"), published);
}

#[tokio::test]
async fn large_layers_and_the_built_in_base_are_streamed() {
    let environment = TestEnvironment::get();
    let registries = registries(settings());
    let image = on(static_base(&Platform::host()), layer("/data", noise(1, 24 << 20), 0o644));
    for chunk_size in [None, Some(5 << 20)] {
        let registries = if chunk_size.is_some() {
            super::registries(b2i::store::registry::RegistrySettings { chunk_size, ..settings() })
        } else {
            registries.clone()
        };
        let tag = reference(&format!("{}/{}:1", environment.registry(), unique("large")));
        let tags = std::slice::from_ref(&tag);
        let published = publish(&registries, &image, tags, &plain()).await.expect("published");
        let copied = reference(&format!("{}/{}:1", environment.registry(), unique("copy")));
        let root = registries.open(&tag, &ResolveOptions::default()).await.expect("opened");
        assert_eq!(root.root.digest, manifest(&published).digest);
        let tags = std::slice::from_ref(&copied);
        registries.copy(&root, tags).await.expect("copied");
        let docker = environment.docker();
        let _owned = docker.adopted_image(&copied.familiar());
        docker.stdout(&["pull", &copied.familiar()]);
        let tar = docker.export_image(&copied.familiar());
        let noise = noise(1, 24 << 20);
        assert!(tar.len() > noise.len() && tar.windows(4096).any(|part| part == &noise[..4096]));
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let environment = TestEnvironment::get();
    let registries = registries(settings());
    let absent = reference(&format!("{}/{}:1", environment.registry(), unique("absent")));
    let error = registries.resolve(&absent, &ResolveOptions::default()).await.expect_err("absent");
    assert!(matches!(error, RegistryError::Missing { .. }), "{error}");
    let by_digest = format!("{}/{}@{}", environment.registry(), unique("absent"), Digest::of(b"x"));
    let error = registries.resolve(&reference(&by_digest), &ResolveOptions::default()).await;
    assert!(matches!(error, Err(RegistryError::Missing { .. })));
    let never = ResolveOptions { pull: PullPolicy::Never, ..ResolveOptions::default() };
    let error = registries.resolve(&absent, &never).await.expect_err("forbidden");
    assert!(matches!(error, RegistryError::Offline { .. }), "{error}");
    let base = pushed_base(environment);
    let platform = Some("linux/s390x".parse().expect("a platform"));
    let options = ResolveOptions { platform, ..ResolveOptions::default() };
    let error =
        registries.resolve(&reference(&base), &options).await.expect_err("another platform").to_string();
    assert!(error.contains("linux/s390x") && error.contains(&Platform::host().to_string()), "{error}");
}
