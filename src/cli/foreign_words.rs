//! Owns the words of other tools: flags and commands that b2i does not have, each with what to type instead.
//!
//! Must not guess by spelling; clap does that for words that are not in the table. A test parses every text in backticks that
//! begins with `b2i` or `-`.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::image::shell_words;

/// Words of one meaning, separated by blanks, and the hint for them.
type Hint = (&'static str, &'static str);

const FLAGS: &[Hint] = &[
    (
        "--from --base-image --run-image --parent --base-import",
        "name the base image with `--base registry.example/team/jre:21`",
    ),
    (
        "--expose --publish --ports --exposed-ports -p",
        "expose a port with `--port 8080`; publish it with `docker run -p 8080:8080`; push the image with `--push`",
    ),
    (
        "--file -f --containerfile",
        "b2i needs no Dockerfile: `b2i build target/app.jar`; `--dockerfile DIR` writes one",
    ),
    (
        "--build-arg --build-args",
        "set a variable of the image with `--env NAME=VALUE`, or one of a source build with `--build-env NAME=VALUE`",
    ),
    (
        "--name -n --image --image-name --tags --additional-tag --additional-tags --dest",
        "name the image with `--tag app:1.0`; the option can be repeated",
    ),
    (
        "--destination --repo --repository --registry --bare --preserve-import-paths",
        "name registry, repository and tag with `--tag registry.example/team/app:1.0`, and add `--push`",
    ),
    (
        "--no-push --load --local",
        "the image goes to the daemon by default, and only `--push` pushes it; `--output docker` adds the daemon to other outputs",
    ),
    (
        "--tarball --tar-path --tar --oci-layout-path",
        "write a file with `--output docker-archive:app.tar`, `--output oci-archive:app.tar` or `--output oci:app`",
    ),
    (
        "--image-refs --digestfile --image-name-with-digest-file",
        "write the name by digest of a pushed image with `--digest-file FILE`",
    ),
    ("--image-metadata-out", "write names and digests as JSON with `--metadata-file FILE`"),
    (
        "--cmd --command --program-args --arg --args",
        "pass default arguments after a double dash: `b2i build app.jar -- --port 8080`",
    ),
    ("--jvm-flags --java-opts --jvm-args", "set JVM options with `--env JAVA_OPTS=-Xss512k`"),
    ("--java --java-version --jdk", "select the Java version with the builder: `--builder java:21`"),
    (
        "--mount --volumes",
        "mount a directory during a source build with `--volume /srv/cache:/cache`; b2i declares no volumes in images",
    ),
    (
        "--sbom --sbom-dir --sbom-output-dir --provenance --attest",
        "b2i writes no SBOM or provenance; create one from the image, for example with `syft IMAGE`",
    ),
    (
        "--sign --sign-by --signer",
        "b2i signs nothing; sign the pushed digest, for example with `cosign sign IMAGE@DIGEST`",
    ),
    (
        "--no-cache --clear-cache",
        "`--no-memo` re-reads every file, and `--no-build-cache` disables the build caches of sources",
    ),
    (
        "--cache --cache-from --cache-to --cache-image --cache-repo",
        "b2i uses no cache in a registry; `--cache-dir DIR` moves the local one",
    ),
    ("--arch --os --variant --platforms", "set the platform with `--platform linux/arm64`"),
    ("--working-directory --working-dir", "set the working directory with `--workdir /srv`"),
    (
        "--creation-time --timestamp --source-date-epoch --date",
        "set the date of the image with `--created 2026-01-31T12:00:00Z`, or with the variable SOURCE_DATE_EPOCH",
    ),
    (
        "--insecure --insecure-registry --allow-insecure-registries --tls-verify --skip-tls-verify",
        "set `insecure` or `ca-files` for the registry under `[registries.\"HOST\"]` in ~/.config/b2i/config.toml",
    ),
    (
        "--creds --authfile --username --password --to-username --to-password -u",
        "store credentials with `b2i login registry.example`; REGISTRY_AUTH_FILE sets another file",
    ),
    (
        "--context --source --source-dir -c",
        "pass the sources as argument: `b2i build .`; `--context-dir DIR` selects a directory in them",
    ),
    ("--target", "b2i has no stages; `--runtime-image debian:12` puts a source build into another image"),
    ("--squash --squash-all --layers", "b2i adds exactly one layer, so there is nothing to squash"),
    (
        "--buildpack --buildpacks -B -b",
        "select a builder with `--builder java:21`; `b2i builders list` lists them",
    ),
    (
        "--healthcheck --healthcheck-command --health-interval --health-retries --no-healthcheck",
        "set the health check with `--health-cmd COMMAND`, or remove it with `--health-cmd \"\"`",
    ),
    ("-m --memory-limit", "limit the memory of assemble with `--memory 512m`"),
    ("--cpu-quota --cpu-shares --cpu-period --cpuset-cpus", "limit the CPUs of assemble with `--cpus 1.5`"),
    ("--debug -D --log-level --loglevel", "log more with `-v`, and even more with `-vv`"),
    (
        "--json --output-format",
        "print the result as JSON with `--format json`, and events with `--progress json`",
    ),
    (
        "--proxy --http-proxy --https-proxy",
        "set the variable https_proxy, or `[network.proxies]` in ~/.config/b2i/config.toml",
    ),
    ("--retry --retry-times --retries", "set the number of retries with the variable B2I_RETRIES"),
];

const COMMANDS: &[Hint] = &[
    ("run", "build and run with `b2i build app.jar --run`; run an existing image with `docker run IMAGE`"),
    (
        "push publish",
        "build and push with `b2i build app.jar -t registry.example/team/app:1.0 --push`; push an existing image with \
         `b2i copy docker-daemon:app:1.0 registry.example/team/app:1.0`",
    ),
    ("pull", "pull an image with `b2i copy registry.example/team/app:1.0 docker-daemon:app:1.0`"),
    (
        "tag",
        "add a tag with `b2i copy registry.example/team/app:1.0 registry.example/team/app:latest`; a build accepts several \
         `--tag app:1.0`",
    ),
    ("load import", "load an archive with `b2i copy docker-archive:app.tar docker-daemon:app:1.0`"),
    ("save export", "save an image with `b2i copy docker-daemon:app:1.0 docker-archive:app.tar`"),
    (
        "images image ls list ps",
        "`b2i builders list` lists builders; `docker images` lists images of the daemon",
    ),
    (
        "rm rmi delete untag",
        "b2i does not delete images: use `docker rmi IMAGE` or the registry's own tool; `b2i cache prune` empties the cache",
    ),
    ("prune clean clear system", "remove cache entries with `b2i cache prune`"),
    (
        "rebase mutate",
        "build the image again with `b2i build app.jar`, or from its recorded sources with `b2i s2i rebuild app:1.0`",
    ),
    (
        "sign verify attest attach",
        "b2i does not sign or verify images; use another tool, for example `cosign sign IMAGE@DIGEST`",
    ),
    ("sbom scan", "b2i writes no SBOM; create one from the image, for example with `syft IMAGE`"),
    (
        "bud build-using-dockerfile buildx dockerbuild pack jib ko package make",
        "build an image with `b2i build target/app.jar`",
    ),
    ("dockerfile", "write a Dockerfile with `b2i build app.jar --dockerfile DIR`"),
    ("plan explain", "print the plan with `b2i build app.jar --dry-run`"),
    ("detect analyze describe", "show what an artifact is with `b2i inspect app.jar`"),
    (
        "manifest index",
        "build for several platforms with `b2i build app.jar --platform linux/amd64,linux/arm64 -t app:1.0`",
    ),
    ("builder suggest-builders suggest buildpack search templates", "list builders with `b2i builders list`"),
    ("init new create scaffold", "create a builder image with `b2i builders create my-builder DIR`"),
    (
        "check test info status",
        "check this machine with `b2i doctor`, or a builder with `b2i builders check java`",
    ),
    ("rebuild usage generate", "use the command line of s2i: `b2i s2i --help`"),
    ("auth signin", "store credentials with `b2i login registry.example`"),
    ("settings get view env", "print the configuration with `b2i config show`"),
    ("version", "print the version with `b2i --version`"),
    ("completion complete", "print a completion script with `b2i completions bash`"),
];

/// Replaces clap's suggestion by the hint of the table, if the word is in it.
pub(super) fn with_hint(mut error: clap::Error) -> clap::Error {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => String::new(),
    };
    let hint = match error.kind() {
        ErrorKind::UnknownArgument => {
            let word = word(ContextKind::InvalidArg);
            // clap suggests the word after `--`, where it would be an argument of the program.
            error.remove(ContextKind::Suggested);
            find(FLAGS, &word).or_else(|| file_hint(&word))
        }
        ErrorKind::InvalidSubcommand => {
            let word = word(ContextKind::InvalidSubcommand);
            find(COMMANDS, &word.to_lowercase()).or_else(|| artifact_hint(&word))
        }
        _ => None,
    };
    if let Some(hint) = hint {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    }
    error
}

fn find(hints: &[Hint], word: &str) -> Option<String> {
    hints
        .iter()
        .find(|(words, _)| words.split(' ').any(|known| known == word))
        .map(|(_, hint)| (*hint).to_owned())
}

/// The hint for a file such as `-app.jar`: clap reports only `-a`.
fn file_hint(word: &str) -> Option<String> {
    let is_short = !word.starts_with("--");
    is_short.then(|| "write a file name that begins with a dash as `./-NAME`".to_owned())
}

/// The hint for `b2i app.jar`: the word looks like a path or a URL.
fn artifact_hint(word: &str) -> Option<String> {
    let is_path = word.contains(['.', '/']) && !word.contains(char::is_control);
    is_path.then(|| format!("build an image with `b2i build {}`", shell_words::quote(&[word])))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::arguments;
    use crate::cli::environment::Environment;

    fn parse(line: &str) -> Result<(), clap::Error> {
        let words = shell_words::split(line).expect("hints are quoted as in a shell");
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        match arguments::parse(words, &Environment::default()) {
            Err(error) if error.use_stderr() => Err(error),
            _ => Ok(()),
        }
    }

    #[test]
    fn hints_name_what_b2i_accepts() {
        let mut tried = 0;
        for (words, hint) in FLAGS.iter().chain(COMMANDS) {
            for code in hint.split('\u{60}').skip(1).step_by(2) {
                let line = match code {
                    code if code.starts_with("b2i ") => code.to_owned(),
                    code if code.starts_with('-') => format!("b2i build app.jar {code}"),
                    _ => continue,
                };
                tried += 1;
                parse(&line).unwrap_or_else(|error| panic!("{words:?}: `{code}`: {error}"));
            }
        }
        assert!(tried > 60, "{tried}");
    }

    #[test]
    fn the_words_are_not_words_of_b2i_and_stand_once() {
        for (hints, prefix) in [(FLAGS, "b2i build app.jar"), (COMMANDS, "b2i")] {
            let words: Vec<&str> = hints.iter().flat_map(|(words, _)| words.split(' ')).collect();
            for (index, word) in words.iter().enumerate() {
                assert!(!words[..index].contains(word), "{word} stands twice");
                let error = parse(&format!("{prefix} {word}")).expect_err(word);
                let kinds = [ErrorKind::UnknownArgument, ErrorKind::InvalidSubcommand];
                assert!(kinds.contains(&error.kind()), "{word}: {error}");
                let hint = find(hints, word).expect("it is in the table");
                assert!(error.to_string().contains(&hint), "{word}: {error}");
            }
        }
    }

    #[test]
    fn other_words_are_suggested_by_clap() {
        for (line, part) in [
            ("b2i build app.jar --bilder java", "'--builder'"),
            ("b2i bild app.jar", "'build'"),
            ("b2i build -app.jar", "./-NAME"),
            ("b2i target/app.jar", "`b2i build target/app.jar`"),
            ("b2i 'my app.jar'", "`b2i build 'my app.jar'`"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
