//! Owns exporting images, their layers and their file trees from the daemon. Must not use names in an archive as paths.
//!
//! Layers are verified against their diff IDs. Docker 20.10 saves `<id>/layer.tar`, with a symbolic link for a layer that
//! appears twice, later Docker `blobs/sha256/…`, which containerd's store compresses, and Podman `<diff id>.tar`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptions;
use serde::Deserialize;

use super::clean_up::{LEASE_LABEL, remove_container};
use super::connection::Daemon;
use super::error::DaemonError;
use crate::fs::BoundedTar;
use crate::image::compression::{DecompressionLimit, decompress, sniff};
use crate::image::{Digest, DigestReader, LayerCompression, LayerFile};
use crate::store::archive::tar_index::relative_to;
use crate::stream::StreamReader;

/// Largest manifest of an archive, in bytes.
const MAXIMUM_MANIFEST: u64 = 8 << 20;

const MAXIMUM_ENTRIES: usize = 10_000;

/// An entry of `manifest.json`, of which only the layers count.
#[derive(Deserialize)]
struct SavedLayers {
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

#[derive(Default)]
struct Saved {
    files: HashMap<String, LayerFile>,
    links: HashMap<String, String>,
    manifest: Option<Vec<u8>>,
}

impl Daemon {
    /// Exports the layers with the diff IDs `ids`, lowest first, as files in `directory`. The caller makes and removes it.
    ///
    /// # Errors
    /// [`DaemonError::Export`] if a layer is missing or damaged; errors of the connection and of files.
    pub async fn layers(
        &self,
        image_id: &str,
        ids: &[Digest],
        directory: &Path,
    ) -> Result<Vec<LayerFile>, DaemonError> {
        let (ids, target) = (ids.to_vec(), directory.to_owned());
        let path = format!("/images/{image_id}/get");
        let result =
            self.read_raw(path, move |reader| choose(&unpack(reader, &target)?, &ids, &target)).await;
        result.map_err(|fault| match fault {
            Fault::Io(source) => {
                let action = format!("export the image {image_id}");
                self.read_error(action, source, "writing layers to", directory)
            }
            Fault::Layer(layer, reason) => {
                let address = self.info().address.clone();
                DaemonError::Export { name: image_id.to_owned(), address, layer, reason }
            }
        })
    }

    /// Saves an image as `docker save` does, with its original config, to a new file at `path`.
    pub async fn save(&self, image_id: &str, path: &Path) -> Result<(), DaemonError> {
        let target = path.to_owned();
        let save =
            move |mut reader: StreamReader| io::copy(&mut reader, &mut File::create_new(target)?).map(drop);
        let saved = self.read_raw(format!("/images/{image_id}/get"), save).await;
        saved.map_err(|source| {
            self.read_error(format!("save the image {image_id}"), source, "writing the image to", path)
        })
    }

    /// Calls `read` with the file tree of the image `image_id`, as a tar, on a blocking thread. `read` may stop early.
    ///
    /// A container is created for this, never started, and removed.
    pub async fn read_tree<T: Send + 'static>(
        &self,
        image_id: &str,
        lease: &str,
        read: impl FnOnce(Box<dyn Read + Send>) -> T + Send + 'static,
    ) -> Result<T, DaemonError> {
        let body = ContainerCreateBody {
            image: Some(image_id.to_owned()),
            // The command never runs. A container needs one, and an image may have none.
            cmd: Some(vec!["/".into()]),
            labels: Some(HashMap::from([(LEASE_LABEL.to_owned(), lease.to_owned())])),
            ..ContainerCreateBody::default()
        };
        let created = self.client().create_container(None::<CreateContainerOptions>, body).await;
        let failed =
            |error| self.request_error(format!("create a container of the image {image_id}"), &error);
        let id = created.map_err(failed)?.id;
        let path = format!("/containers/{id}/export");
        let value = self.read_raw(path, move |reader| read(Box::new(reader))).await;
        remove_container(self, &id).await?;
        Ok(value)
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the layer {0} {1}")]
    Layer(Digest, String),
}

fn unpack(reader: impl Read, directory: &Path) -> io::Result<Saved> {
    let mut saved = Saved::default();
    let mut archive = BoundedTar::new(reader);
    for (index, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if index >= MAXIMUM_ENTRIES {
            return Err(io::Error::other(format!("the export has more than {MAXIMUM_ENTRIES} entries")));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous if name == "manifest.json" => {
                let mut bytes = Vec::new();
                entry.by_ref().take(MAXIMUM_MANIFEST).read_to_end(&mut bytes)?;
                saved.manifest = Some(bytes);
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let path = directory.join(format!("{index}.tar"));
                let mut file = File::create_new(&path)?;
                let mut reader = DigestReader::new(&mut entry);
                io::copy(&mut reader, &mut file)?;
                let (diff_id, size) = reader.finish();
                saved.files.insert(name, LayerFile { diff_id, path, size });
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                if let Some(target) = entry.link_name_bytes() {
                    let absolute = entry.header().entry_type() == tar::EntryType::Link;
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let target = if absolute { target } else { relative_to(&name, &target) };
                    saved.links.insert(name, target);
                }
            }
            _ => {}
        }
    }
    Ok(saved)
}

/// Selects the layers `ids`, unpacks and verifies them, and removes all other files.
fn choose(saved: &Saved, ids: &[Digest], directory: &Path) -> Result<Vec<LayerFile>, Fault> {
    let mut layers: HashMap<Digest, LayerFile> = HashMap::new();
    let names = layer_names(saved);
    for (index, diff_id) in ids.iter().enumerate() {
        if layers.contains_key(diff_id) {
            continue;
        }
        if let Some(file) = saved.files.values().find(|file| file.diff_id == *diff_id) {
            layers.insert(*diff_id, file.clone());
            continue;
        }
        let named = names.get(index).and_then(|name| find(saved, name));
        let file = named.ok_or_else(|| Fault::Layer(*diff_id, "no file has its digest".into()))?;
        let unpacked = unpacked(file, &directory.join(format!("layer-{index}.tar")))?;
        if unpacked.diff_id != *diff_id {
            let reason = format!("its file has the digest {}", unpacked.diff_id);
            return Err(Fault::Layer(*diff_id, reason));
        }
        layers.insert(*diff_id, unpacked);
    }
    for file in saved.files.values() {
        if !layers.values().any(|layer| layer.path == file.path) {
            std::fs::remove_file(&file.path)?;
        }
    }
    Ok(ids.iter().filter_map(|diff_id| layers.remove(diff_id)).collect())
}

fn layer_names(saved: &Saved) -> Vec<String> {
    let manifest = saved.manifest.as_deref().unwrap_or_default();
    let images: Vec<SavedLayers> = serde_json::from_slice(manifest).unwrap_or_default();
    images.into_iter().next().map(|image| image.layers).unwrap_or_default()
}

fn find<'a>(saved: &'a Saved, name: &str) -> Option<&'a LayerFile> {
    let mut name = name;
    // A link may point to a link.
    for _ in 0..8 {
        match saved.files.get(name) {
            Some(file) => return Some(file),
            None => name = saved.links.get(name)?,
        }
    }
    None
}

fn unpacked(file: &LayerFile, path: &Path) -> Result<LayerFile, Fault> {
    let mut source = BufReader::new(File::open(&file.path)?);
    let compression = sniff(source.fill_buf()?);
    if compression == LayerCompression::None {
        return Ok(file.clone());
    }
    let mut reader = DigestReader::new(decompress(compression, source, DecompressionLimit::default())?);
    io::copy(&mut reader, &mut File::create_new(path)?)?;
    let (diff_id, size) = reader.finish();
    Ok(LayerFile { diff_id, path: path.to_owned(), size })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    enum Part<'a> {
        File(&'a str, Vec<u8>),
        Link(&'a str, &'a str),
    }

    fn archive(parts: Vec<Part<'_>>) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for part in parts {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            match part {
                Part::File(name, bytes) => {
                    header.set_size(bytes.len() as u64);
                    builder.append_data(&mut header, name, &bytes[..]).expect("memory");
                }
                Part::Link(name, target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, name, target).expect("memory");
                }
            }
        }
        builder.into_inner().expect("memory")
    }

    fn manifest(layers: &[&str]) -> Part<'static> {
        Part::File("manifest.json", json!([{"Config": "c", "Layers": layers}]).to_string().into_bytes())
    }

    fn export(bytes: &[u8], wanted: &[Digest]) -> Result<Vec<Vec<u8>>, Fault> {
        let directory = tempfile::tempdir().expect("directory");
        let saved = unpack(bytes, directory.path())?;
        let layers = choose(&saved, wanted, directory.path())?;
        let files = std::fs::read_dir(directory.path()).expect("readable").count();
        assert!(files <= layers.len() + 1, "{files} files stay for {} layers", layers.len());
        Ok(layers.iter().map(|layer| std::fs::read(&layer.path).expect("there")).collect())
    }

    #[test]
    fn each_form_of_archive_gives_the_layers() {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let docker = archive(vec![
            Part::File("aa/layer.tar", b"one".to_vec()),
            Part::Link("bb/layer.tar", "../aa/layer.tar"),
            Part::File("cc/layer.tar", b"two".to_vec()),
            Part::File("config.json", b"{}".to_vec()),
            manifest(&["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"]),
        ]);
        assert_eq!(export(&docker, &[one, one, two]).expect("there"), [b"one".to_vec(), b"two".to_vec()]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one").expect("memory");
        let gzip = gzip.finish().expect("memory");
        let name = format!("blobs/sha256/{}", Digest::of(&gzip).hex());
        let zstd = zstd::encode_all(&b"two"[..], 0).expect("memory");
        let containerd =
            archive(vec![manifest(&[&name, "z"]), Part::File(&name, gzip), Part::File("z", zstd)]);
        assert_eq!(export(&containerd, &[one, two]).expect("there"), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn wrong_and_missing_layers_are_errors() {
        let bytes = archive(vec![manifest(&["a"]), Part::File("a", b"evil".to_vec())]);
        let fault = export(&bytes, &[Digest::of(b"one")]).expect_err("other bytes");
        assert!(
            matches!(fault, Fault::Layer(_, reason) if reason.contains(&Digest::of(b"evil").to_string()))
        );
        let around = archive(vec![manifest(&["a"]), Part::Link("a", "b"), Part::Link("b", "a")]);
        assert!(export(&around, &[Digest::of(b"one")]).is_err());
        let cut = &archive(vec![Part::File("a", vec![7; 4000])])[..2000];
        assert!(matches!(export(cut, &[Digest::of(b"one")]), Err(Fault::Io(_))));
    }

    #[test]
    fn names_in_the_archive_reach_no_path() {
        let mut bytes = archive(vec![manifest(&["../../x"]), Part::File("AA/layer.tar", b"one".to_vec())]);
        let name = bytes.windows(12).position(|window| window == b"AA/layer.tar").expect("there");
        bytes[name..name + 12].copy_from_slice(b"../../../pwn");
        let block = name..name + 512;
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(&bytes[block.clone()]);
        header.set_cksum();
        bytes[block].copy_from_slice(header.as_bytes());
        assert_eq!(export(&bytes, &[Digest::of(b"one")]).expect("by digest"), [b"one".to_vec()]);
    }
}
