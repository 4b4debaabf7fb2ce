//! Owns the options that bring along what an artifact names and what is on the disk, beside the input file.
//! Must not read the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::detect::LinkedFile;
use crate::image::{ImagePath, shell_words};

/// More options than anybody types.
const MOST_OPTIONS: usize = 10;

/// The file that names Quarkus' fast-jar, and its directory, which no Class-Path names.
const FAST_JAR: (&str, &str) = ("quarkus/quarkus-application.dat", "quarkus");

/// The libraries of `program` that are near the file `input`: in its run path, beside it, or in a directory `lib`.
pub(super) fn libraries(input: &Path, program: &LinkedFile) -> BTreeMap<String, PathBuf> {
    let disk = input.parent().unwrap_or(Path::new(""));
    let run_path = program.own_path.iter().chain(&program.inherited_path).take(MOST_OPTIONS);
    let relative = run_path.filter_map(|path| {
        let rest = path.strip_prefix("$ORIGIN").or_else(|| path.strip_prefix("${ORIGIN}"))?;
        Some(rest.trim_start_matches('/'))
    });
    let directories: Vec<PathBuf> =
        relative.chain(["", "lib", "../lib"]).map(|directory| disk.join(directory)).collect();
    let on_disk = |name: &String| {
        let mut paths = directories.iter().map(|directory| directory.join(name));
        paths.find(|path| path.is_file()).map(|path| (name.clone(), path))
    };
    program.libraries.iter().filter(|name| !name.contains('/')).filter_map(on_disk).collect()
}

/// The words of options that add the missing entries of a Class-Path to the JAR at `artifact` in the image, from the
/// directory of the file `input`; empty if none of them is there. A whole directory comes along if it is beside the JAR.
pub fn class_path_options(input: &Path, artifact: &ImagePath, missing: &[String]) -> Vec<String> {
    let disk = input.parent().unwrap_or(Path::new(""));
    let mut beside = BTreeSet::new();
    let mut above: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in missing {
        let parts: Vec<&str> = entry.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let path = parts.join("/");
        match parts[..] {
            // A whole directory above would be far too much.
            [] | [.., ".."] => {}
            _ if !disk.join(&path).exists() => {}
            // Files above the JAR need a place of their own in the image.
            [first, ..] if parts.contains(&"..") => {
                let directory = path.rsplit_once('/').map_or(first, |(directory, _)| directory);
                above.entry(directory.to_owned()).or_default().push(path);
            }
            [first] if !entry.ends_with('/') => drop(beside.insert(first.to_owned())),
            [first, ..] => drop(beside.insert(format!("{first}/"))),
        }
    }
    if !beside.is_empty() && disk.join(FAST_JAR.0).is_file() {
        beside.insert(format!("{}/", FAST_JAR.1));
    }
    let mut options: Vec<String> = beside.iter().map(|path| option(&disk.join(path), None)).collect();
    for (directory, files) in above {
        let path = if let [file] = &files[..] { file } else { &directory };
        options.extend(place(artifact, path).map(|place| option(&disk.join(path), Some(&place))));
    }
    options.truncate(MOST_OPTIONS);
    options
}

/// One option, quoted for a shell. A colon in the path needs another at its end.
fn option(source: &Path, destination: Option<&str>) -> String {
    let source = source.display().to_string();
    let word = match destination {
        Some(destination) => format!("{source}:{destination}"),
        None if source.contains(':') => format!("{source}:"),
        None => source,
    };
    format!("--add {}", shell_words::quote(&[word]))
}

/// The place in the image of a path relative to the artifact's directory.
fn place(artifact: &ImagePath, path: &str) -> Option<String> {
    let directory = artifact.parent()?;
    let mut parts: Vec<&str> = directory.as_str().split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(files: &[&str], missing: &[&str]) -> Vec<String> {
        let disk = tempfile::tempdir().expect("a temporary directory");
        for file in files {
            let path = disk.path().join(file);
            std::fs::create_dir_all(path.parent().expect("below")).expect("creates");
            std::fs::write(path, "").expect("writes");
        }
        let missing: Vec<String> = missing.iter().map(|entry| (*entry).to_owned()).collect();
        let artifact = ImagePath::new("/opt/app-root/bin/binary").expect("valid");
        let options = class_path_options(&disk.path().join("target/app.jar"), &artifact, &missing);
        let shown = disk.path().join("target").display().to_string();
        options.iter().map(|option| option.replace(&shown, "target")).collect()
    }

    #[test]
    fn options_name_what_is_there() {
        let files =
            ["target/lib/main/a.jar", "target/lib/b.jar", "target/c d.jar", "lib/up.jar", "lib/two.jar"];
        for (missing, expected) in [
            (&["lib/main/a.jar", "lib/b.jar"][..], &["--add target/lib/"][..]),
            (&["./lib/b.jar", "c d.jar"], &["--add 'target/c d.jar'", "--add target/lib/"]),
            (&["../lib/up.jar"], &["--add target/../lib/up.jar:/opt/app-root/lib/up.jar"]),
            (&["../lib/up.jar", "../lib/two.jar"], &["--add target/../lib:/opt/app-root/lib"]),
            (&["gone.jar", ".", "./", "../", "../../../../../x.jar"], &[]),
        ] {
            assert_eq!(options(&files, missing), expected, "{missing:?}");
        }
    }

    #[test]
    fn a_fast_jar_needs_a_directory_that_no_class_path_names() {
        let files = ["target/lib/boot/a.jar", "target/app/app.jar", "target/quarkus/quarkus-application.dat"];
        let expected = ["--add target/app/", "--add target/lib/", "--add target/quarkus/"];
        assert_eq!(options(&files, &["lib/boot/a.jar", "app/app.jar"]), expected);
    }
}
