//! Owns getting the layers of an image out of the daemon, as files that were verified against their diff IDs.
//!
//! Reads what Docker 20.10 (`<id>/layer.tar`, a symbolic link for a layer that is there twice), later Docker
//! (`blobs/sha256/…`, compressed where the store is containerd's) and Podman (`<diff id>.tar`) save. Names in the
//! archive are only looked up, never used as paths.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::connection::Daemon;
use super::error::DaemonError;
use super::request::RawRequest;
use crate::image::{Digest, DigestReader, LayerFile};
use crate::store::archive::tar_index::relative_to;
use crate::stream::{pump, stream_to_reader};

/// Largest manifest of an archive, in bytes.
const MAXIMUM_MANIFEST: u64 = 8 << 20;

/// Largest number of files and links in an archive.
const MAXIMUM_ENTRIES: usize = 10_000;

#[derive(Deserialize)]
struct SavedImage {
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

/// What was in an archive.
#[derive(Default)]
struct Saved {
    files: HashMap<String, LayerFile>,
    links: HashMap<String, String>,
    manifest: Option<Vec<u8>>,
}

impl Daemon {
    /// Exports the layers `wanted` (diff IDs, lowest first) of an image as files in `directory`, which the caller
    /// made for it and removes.
    ///
    /// # Errors
    /// [`DaemonError::Export`] if a layer is not there or has other bytes; errors of the connection and of files.
    pub async fn layers(
        &self,
        image_id: &str,
        wanted: &[Digest],
        directory: &Path,
    ) -> Result<Vec<LayerFile>, DaemonError> {
        let stream = self.raw(RawRequest::get(format!("/images/{image_id}/get")));
        let (sender, reader) = stream_to_reader();
        let (wanted, directory) = (wanted.to_vec(), directory.to_owned());
        let unpack = tokio::task::spawn_blocking({
            let directory = directory.clone();
            move || {
                let saved = unpack(reader, &directory)?;
                choose(&saved, &wanted, &directory)
            }
        });
        let (result, ()) = tokio::join!(unpack, pump(stream, sender));
        match result {
            Ok(Ok(layers)) => Ok(layers),
            Ok(Err(Fault::Io(source))) => {
                // The bridge hands the daemon's errors through as the cause of the reader's.
                match source.get_ref().and_then(|cause| cause.downcast_ref::<bollard::errors::Error>()) {
                    Some(error) => Err(self.request_error(format!("export the image {image_id}"), error)),
                    None => Err(DaemonError::File { action: "writing layers to", path: directory, source }),
                }
            }
            Ok(Err(Fault::Layer(wanted, reason))) => {
                let address = self.info().address.clone();
                Err(DaemonError::Export { name: image_id.to_owned(), address, wanted, reason })
            }
            Err(panic) => {
                let source = io::Error::other(panic);
                Err(DaemonError::File { action: "writing layers to", path: directory, source })
            }
        }
    }
}

impl Daemon {
    /// Saves an image as `docker save` does, with its config as it is, to a new file at `path`.
    ///
    /// # Errors
    /// Errors of the connection and of files.
    pub async fn save(&self, image_id: &str, path: &Path) -> Result<(), DaemonError> {
        let stream = self.raw(RawRequest::get(format!("/images/{image_id}/get")));
        let (sender, mut reader) = stream_to_reader();
        let write = tokio::task::spawn_blocking({
            let path = path.to_owned();
            move || io::copy(&mut reader, &mut File::create_new(path)?).map(drop)
        });
        let (result, ()) = tokio::join!(write, pump(stream, sender));
        result.map_err(io::Error::other).flatten().map_err(|source| {
            match source.get_ref().and_then(|cause| cause.downcast_ref::<bollard::errors::Error>()) {
                Some(error) => self.request_error(format!("save the image {image_id}"), error),
                None => DaemonError::File { action: "writing the image to", path: path.to_owned(), source },
            }
        })
    }
}

#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Layer(Digest, String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Spools every file of the archive under a name of our own and digests it on the way.
fn unpack(reader: impl Read, directory: &Path) -> io::Result<Saved> {
    let mut saved = Saved::default();
    let mut archive = tar::Archive::new(reader);
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

/// Picks the wanted layers, unpacks those that are compressed, verifies all and removes the other files.
fn choose(saved: &Saved, wanted: &[Digest], directory: &Path) -> Result<Vec<LayerFile>, Fault> {
    let mut kept: HashMap<Digest, LayerFile> = HashMap::new();
    let names = layer_names(saved);
    for (index, diff_id) in wanted.iter().enumerate() {
        if kept.contains_key(diff_id) {
            continue;
        }
        if let Some(file) = saved.files.values().find(|file| file.diff_id == *diff_id) {
            kept.insert(*diff_id, file.clone());
            continue;
        }
        let named = names.get(index).and_then(|name| find(saved, name));
        let file = named.ok_or_else(|| Fault::Layer(*diff_id, "no file has its digest".into()))?;
        let unpacked = decompress(file, &directory.join(format!("layer-{index}.tar")))?;
        if unpacked.diff_id != *diff_id {
            let reason = format!("the file in its place has the digest {}", unpacked.diff_id);
            return Err(Fault::Layer(*diff_id, reason));
        }
        kept.insert(*diff_id, unpacked);
    }
    for file in saved.files.values() {
        if !kept.values().any(|kept| kept.path == file.path) {
            std::fs::remove_file(&file.path)?;
        }
    }
    Ok(wanted.iter().filter_map(|diff_id| kept.remove(diff_id)).collect())
}

fn layer_names(saved: &Saved) -> Vec<String> {
    let manifest = saved.manifest.as_deref().unwrap_or_default();
    let images: Vec<SavedImage> = serde_json::from_slice(manifest).unwrap_or_default();
    images.into_iter().next().map(|image| image.layers).unwrap_or_default()
}

fn find<'a>(saved: &'a Saved, name: &str) -> Option<&'a LayerFile> {
    let mut name = name;
    // A link may point to a link, but not for ever.
    for _ in 0..8 {
        match saved.files.get(name) {
            Some(file) => return Some(file),
            None => name = saved.links.get(name)?,
        }
    }
    None
}

fn decompress(file: &LayerFile, path: &PathBuf) -> Result<LayerFile, Fault> {
    let mut source = BufReader::new(File::open(&file.path)?);
    let mut magic = [0; 4];
    let count = source.read(&mut magic)?;
    source.seek(SeekFrom::Start(0))?;
    let reader: Box<dyn Read> = match &magic[..count] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(source)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(source)?),
        _ => return Ok(file.clone()),
    };
    let mut reader = DigestReader::new(reader);
    io::copy(&mut reader, &mut File::create_new(path)?)?;
    let (diff_id, size) = reader.finish();
    Ok(LayerFile { diff_id, path: path.clone(), size })
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
