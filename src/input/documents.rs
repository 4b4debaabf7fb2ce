//! Owns the names of files that come with a program and that it does not need: documents, completions, metadata of packages.
//! Must not know what a program needs.

/// Names of documents, in lower case, without an extension.
const TITLES: [&str; 18] = [
    "authors",
    "changelog",
    "changes",
    "code_of_conduct",
    "contributing",
    "contributors",
    "copying",
    "copyright",
    "history",
    "install",
    "licence",
    "license",
    "news",
    "notice",
    "readme",
    "security",
    "third-party",
    "todo",
];
const EXTENSIONS: [&str; 13] =
    ["adoc", "asc", "bat", "cmd", "debug", "md", "pdf", "ps1", "rst", "sha256", "sig", "spdx", "txt"];
const NAMES: [&str; 4] = [".ds_store", "package.json", "sha256sums", "version"];
/// Directories with nothing else.
const DIRECTORIES: [&str; 15] = [
    "__macosx",
    "autocomplete",
    "bash-completion",
    "complete",
    "completion",
    "completions",
    "doc",
    "docs",
    "examples",
    "legal",
    "licenses",
    "man",
    "manpages",
    "site-functions",
    "tests",
];

/// Whether no program needs the file at `path` of an archive.
pub(super) fn is_document(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let (directories, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    if NAMES.contains(&name)
        || name.starts_with("._")
        || directories.split('/').any(|part| DIRECTORIES.contains(&part) || part.ends_with(".dist-info"))
    {
        return true;
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if EXTENSIONS.contains(&extension) || extension == "html" => {
            (stem, extension)
        }
        _ => (name, ""),
    };
    let is_title = !stem.contains('.')
        && TITLES.iter().any(|title| {
            stem.strip_prefix(title).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
        });
    is_title || EXTENSIONS.contains(&extension) && extension != "txt" || is_manual_page(name)
}

/// Whether it is `tool.1` or `tool.conf.5.gz`, and not `libx.so.1` or `tool-1.2`.
fn is_manual_page(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let Some((stem, section)) = name.rsplit_once('.') else { return false };
    matches!(section, "1" | "5" | "7" | "8")
        && !stem.ends_with(|last: char| last.is_ascii_digit())
        && !stem.ends_with(".so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_from_what_a_program_reads() {
        for path in [
            "t/LICENSE",
            "LICENSE-MIT",
            "LICENSE_APACHE.txt",
            "README.md",
            "t/share/man/man1/t.1.gz",
            "t.1",
            "completions/_t",
            "CHANGELOG",
            "t/docs/x.html",
            "NOTICE.txt",
            "package/package.json",
            "t-1.dist-info/RECORD",
            "t.bat",
            "__MACOSX/t/._x",
            "INSTALL",
        ] {
            assert!(is_document(path), "{path}");
        }
        for path in [
            "lib/libx.so.1",
            "conf/app.yml",
            "t/installer",
            "install.sh",
            "reader",
            "lib/news-api.jar",
            "data.txt",
            "newsd",
            "share/x.dat",
            "bin/tool-1.1",
        ] {
            assert!(!is_document(path), "{path}");
        }
    }
}
