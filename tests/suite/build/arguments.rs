//! No word of the arguments is lost, split or expanded on its way: typed to b2i, set at run time, given to the container.

use super::*;

/// Quotes words as a person would write them into `ARGS` for a POSIX shell.
fn quoted(words: &[&str]) -> String {
    let word = |word: &&str| format!("'{}'", word.replace('\'', "'\\''"));
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Starts the image with these options and arguments and returns the words that the program saw.
type Seen<'a> = dyn Fn(&[&str], &[&str]) -> Vec<String> + 'a;

/// Three ways of giving all words, and what the program must see of each.
fn check(image: &Image, first: &str, form: &dyn Fn(&str) -> String, seen: &Seen<'_>) {
    let formed: Vec<String> = WORDS.iter().map(|word| form(word)).collect();
    let formed: Vec<&str> = formed.iter().map(String::as_str).collect();
    let name = image.daemon.name;
    // As they were built in, followed by the container's own.
    let both: Vec<&str> = [&[first], &formed[..], &formed[..]].concat();
    assert_eq!(seen(&[], &formed), both, "default and container on {name}");
    // Replaced at run time: quoted as by hand, with blanks of each kind between and around.
    let args = format!("ARGS= \n{first}\t{}  ", quoted(&formed));
    assert_eq!(seen(&["-e", &args], &[]), [&[first], &formed[..]].concat(), "ARGS on {name}");
}

fn build(daemon: &Daemon, artifact: &str, first: &str, words: &[&str]) -> Image {
    let artifact = fixture(artifact);
    Image::build(daemon, &[&[artifact.as_str(), "--", first], words].concat())
}

#[test]
fn programs_see_exactly_their_words() {
    // The first is started by the launcher, the others by the scripts under dash and BusyBox.
    for artifact in ["program", "program-glibc", "program-musl", "standalone.jar"] {
        for daemon in TestEnvironment::get().daemons() {
            let image = build(&daemon, artifact, "--print", &WORDS);
            check(&image, "--print", &str::to_owned, &|options, arguments| {
                words(&image.report(options, arguments), "arguments")
            });
        }
    }
}

#[test]
fn a_script_sees_exactly_its_words() {
    for daemon in TestEnvironment::get().daemons() {
        let image = build(&daemon, "shell-program", "first", &WORDS);
        check(&image, "first", &str::to_owned, &|options, arguments| {
            let text = image.print(options, arguments);
            let rest = text.strip_prefix("pid 1\nargument ").expect("the script prints its pid").to_owned();
            let rest = rest.strip_suffix('\n').expect("the script ends its last line");
            rest.split("\nargument ").map(str::to_owned).collect()
        });
    }
}

#[test]
fn java_in_tomcat_sees_exactly_its_options() {
    let form = |word: &str| format!("-Dword={word}");
    let formed: Vec<String> = WORDS.iter().map(|word| form(word)).collect();
    let formed: Vec<&str> = formed.iter().map(String::as_str).collect();
    for daemon in TestEnvironment::get().daemons() {
        let image = build(&daemon, "shop-jakarta.war", "-Dword=first", &formed);
        check(&image, "-Dword=first", &form, &|options, arguments| {
            let mut seen = words(&asked(&image.serve(options, arguments), "/hello"), "jvmArguments");
            seen.retain(|word| word.starts_with("-Dword="));
            seen
        });
    }
}
