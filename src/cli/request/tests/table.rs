//! The same request as flags and as JSON: both front ends pass and fail alike, with the same reason.

use super::parsed;
use crate::cli::environment::Environment;
use crate::request::Request;

const ZEROS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Flags, the fields of the request, and why both are refused, if they are.
type Case = (&'static str, &'static str, Option<&'static str>);

fn of_flags(flags: &str) -> Result<Request, String> {
    let flags = flags.replace("ZEROS", ZEROS);
    let arguments: Vec<&str> = flags.split_whitespace().collect();
    parsed(&arguments, Environment::default(), "")
        .map_err(|error| error.render().expect("there is a message").to_lowercase())
}

fn of_json(fields: &str) -> Result<Request, String> {
    let request = Request::from_json(&format!("{{ {} }}", fields.replace("ZEROS", ZEROS)));
    let checked = request.and_then(|request| request.validate().map(|()| request.without_repetitions()));
    checked.map_err(|error| error.to_string().to_lowercase())
}

fn check(cases: &[Case]) {
    for (flags, json, refused) in cases {
        let (flagged, read) = (of_flags(flags), of_json(json));
        match refused {
            None => {
                let request = flagged.unwrap_or_else(|error| panic!("{flags}: {error}"));
                let read = read.unwrap_or_else(|error| panic!("{json}: {error}"));
                assert_eq!(format!("{request:?}"), format!("{read:?}"), "{flags}");
                let written = serde_json::to_string(&request).expect("a request can be written");
                let again = Request::from_json(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
                assert_eq!(serde_json::to_string(&again).expect("it can be written again"), written);
            }
            Some(reason) => {
                let reason = reason.to_lowercase();
                let flagged = flagged.expect_err(flags);
                assert!(flagged.contains(&reason), "{flags}: {flagged}");
                let read = read.expect_err(json);
                assert!(read.contains(&reason), "{json}: {read}");
                // Flags and fields have syntax of their own; all other checks are the same.
                if !read.starts_with("the request is not valid") && !flagged.contains("invalid value") {
                    assert!(flagged.contains(&format!(" {read}\n")), "{flagged}{read}");
                }
            }
        }
    }
}

#[test]
fn artifacts_are_named_alike() {
    check(&[
        ("a", r#""artifacts": ["a"]"#, None),
        ("-", r#""artifacts": ["-"]"#, None),
        ("https://h.example/a?b", r#""artifacts": ["https://h.example/a?b"]"#, None),
        ("a b", r#""artifacts": ["a", "b"]"#, None),
        ("a --sha256 ZEROS", r#""artifacts": ["a"], "input": { "sha256": "ZEROS" }"#, None),
        ("a --max-size 1kB", r#""artifacts": ["a"], "input": { "maxSize": "1kB" }"#, None),
        ("a --max-size 1kB", r#""artifacts": ["a"], "input": { "maxSize": 1000 }"#, None),
        ("a --path bin/app", r#""artifacts": ["a"], "input": { "memberPath": "bin/app" }"#, None),
        ("a --keep-tree", r#""artifacts": ["a"], "input": { "keepTree": true }"#, None),
        ("a --as artifact", r#""artifacts": ["a"], "input": { "treatAs": "artifact" }"#, None),
        ("a --add lib:/opt/lib", r#""artifacts": ["a"], "input": { "added": ["lib:/opt/lib"] }"#, None),
        ("a --allow-missing", r#""artifacts": ["a"], "allowMissing": true"#, None),
        ("a --main-class a.B", r#""artifacts": ["a"], "mainClass": "a.B""#, None),
        (
            "https://h.example/a --bearer-env TOKEN",
            r#""artifacts": ["https://h.example/a"], "input": { "download": { "bearer": "env:TOKEN" } }"#,
            None,
        ),
        ("a a", r#""artifacts": ["a", "a"]"#, Some("is listed twice")),
        (
            "a b --sha256 ZEROS",
            r#""artifacts": ["a", "b"], "input": { "sha256": "ZEROS" }"#,
            Some("the digest of one artifact"),
        ),
        (
            "https://me:hunter2@h.example/a",
            r#""artifacts": ["https://me:hunter2@h.example/a"]"#,
            Some("contains a user name"),
        ),
        ("ftp://h/a", r#""artifacts": ["ftp://h/a"]"#, Some("`ftp` is not one of")),
        (
            "a --bearer-env T",
            r#""artifacts": ["a"], "input": { "download": { "bearer": "env:T" } }"#,
            Some("`--bearer-env` is for downloads"),
        ),
        ("a --sha256-file s", r#""artifacts": ["a"], "input": { "sha256File": "s" }"#, None),
        (
            "a --sha256 ZEROS --sha256-file s",
            r#""artifacts": ["a"], "input": { "sha256": "ZEROS", "sha256File": "s" }"#,
            Some("set the same value"),
        ),
        ("a --sha256 x", r#""artifacts": ["a"], "input": { "sha256": "x" }"#, Some("sha256")),
        ("a --max-size x", r#""artifacts": ["a"], "input": { "maxSize": "x" }"#, Some("`x`")),
    ]);
}

#[test]
fn builders_and_limits_are_named_alike() {
    check(&[
        ("a --builder java:21", r#""artifacts": ["a"], "builder": "java:21""#, None),
        ("a --builder x/y:1", r#""artifacts": ["a"], "builder": "x/y:1""#, None),
        ("a --assemble place", r#""artifacts": ["a"], "assemble": "place""#, None),
        ("a --pull never", r#""artifacts": ["a"], "pull": "never""#, None),
        ("a --assemble-user 1001", r#""artifacts": ["a"], "limits": { "assembleUser": "1001" }"#, None),
        ("a --allow-root", r#""artifacts": ["a"], "limits": { "allowRoot": true }"#, None),
        ("a --memory 1g", r#""artifacts": ["a"], "limits": { "memory": "1g" }"#, None),
        ("a --memory 1g", r#""artifacts": ["a"], "limits": { "memory": 1073741824 }"#, None),
        ("a --cpus 0.5", r#""artifacts": ["a"], "limits": { "nanoCpus": "0.5" }"#, None),
        ("a --pids-limit 9", r#""artifacts": ["a"], "limits": { "pids": 9 }"#, None),
        ("a --network bridge", r#""artifacts": ["a"], "limits": { "network": "bridge" }"#, None),
        ("a --timeout 5m", r#""artifacts": ["a"], "limits": { "timeout": "5m" }"#, None),
        ("a --builder java:", r#""artifacts": ["a"], "builder": "java:""#, Some("is not a builder")),
        ("a --assemble maybe", r#""artifacts": ["a"], "assemble": "maybe""#, Some("maybe")),
        ("a --memory x", r#""artifacts": ["a"], "limits": { "memory": "x" }"#, Some("`x`")),
        ("a --pids-limit 0", r#""artifacts": ["a"], "limits": { "pids": 0 }"#, Some("--pids-limit")),
        ("a --timeout x", r#""artifacts": ["a"], "limits": { "timeout": "x" }"#, Some("`x`")),
    ]);
}

#[test]
fn images_and_outputs_are_described_alike() {
    check(&[
        ("a -t u/a:1", r#""artifacts": ["a"], "tags": ["u/a:1"]"#, None),
        ("a -t u/a -t u/a", r#""artifacts": ["a"], "tags": ["u/a", "u/a"]"#, None),
        ("a -e B=1 -e A=2", r#""artifacts": ["a"], "image": { "env": { "B": "1", "A": "2" } }"#, None),
        ("a --label x=1", r#""artifacts": ["a"], "image": { "labels": { "x": "1" } }"#, None),
        ("a --annotation y=", r#""artifacts": ["a"], "image": { "annotations": { "y": "" } }"#, None),
        ("a --port 80", r#""artifacts": ["a"], "image": { "ports": ["80"] }"#, None),
        ("a --port 53/udp", r#""artifacts": ["a"], "image": { "ports": ["53/udp"] }"#, None),
        ("a --workdir /srv", r#""artifacts": ["a"], "image": { "workingDir": "/srv" }"#, None),
        ("a --user 7:0", r#""artifacts": ["a"], "image": { "user": "7:0" }"#, None),
        ("a --entrypoint /bin/run", r#""artifacts": ["a"], "image": { "entrypoint": ["/bin/run"] }"#, None),
        ("a --health-cmd true", r#""artifacts": ["a"], "image": { "healthCmd": "true" }"#, None),
        ("a --stop-signal QUIT", r#""artifacts": ["a"], "image": { "stopSignal": "SIGQUIT" }"#, None),
        ("a --context-path /shop", r#""artifacts": ["a"], "image": { "contextPath": "/shop" }"#, None),
        ("a -- --x y", r#""artifacts": ["a"], "image": { "args": ["--x", "y"] }"#, None),
        ("a --platform linux/arm64", r#""artifacts": ["a"], "platforms": ["linux/arm64"]"#, None),
        ("a -o docker -o docker", r#""artifacts": ["a"], "outputs": ["docker", "docker"]"#, None),
        ("a -o docker-archive:o.tar", r#""artifacts": ["a"], "outputs": ["docker-archive:o.tar"]"#, None),
        ("a -o oci:lay", r#""artifacts": ["a"], "outputs": ["oci:lay"]"#, None),
        ("a --push -t u/a", r#""artifacts": ["a"], "tags": ["u/a"], "outputs": ["registry"]"#, None),
        ("a --compression zstd:3", r#""artifacts": ["a"], "compression": "zstd:3""#, None),
        ("a --no-memo", r#""artifacts": ["a"], "ignoreMemo": true"#, None),
        ("a --port 0", r#""artifacts": ["a"], "image": { "ports": ["0"] }"#, Some("expected 1 to 65535")),
        ("a --port 8-9", r#""artifacts": ["a"], "image": { "ports": ["8-9"] }"#, Some("`8-9` is not a port")),
        (
            "a --user 2147483648",
            r#""artifacts": ["a"], "image": { "user": "2147483648" }"#,
            Some("exceeds the largest"),
        ),
        ("a --stop-signal FOO", r#""artifacts": ["a"], "image": { "stopSignal": "FOO" }"#, Some("`FOO` is")),
        (
            "a --context-path x",
            r#""artifacts": ["a"], "image": { "contextPath": "x" }"#,
            Some("a path such as"),
        ),
        ("a --workdir srv", r#""artifacts": ["a"], "image": { "workingDir": "srv" }"#, Some("srv")),
        ("a -e =1", r#""artifacts": ["a"], "image": { "env": { "": "1" } }"#, Some("not a valid name")),
        (
            "a -e ARGS=x -- y",
            r#""artifacts": ["a"], "image": { "env": { "ARGS": "x" }, "args": ["y"] }"#,
            Some("set the same value"),
        ),
        ("a --label =1", r#""artifacts": ["a"], "image": { "labels": { "": "1" } }"#, Some("name")),
        ("a -t a@ZEROS", r#""artifacts": ["a"], "tags": ["a@ZEROS"]"#, Some("contains a digest")),
        ("a -t UPPER", r#""artifacts": ["a"], "tags": ["UPPER"]"#, Some("upper")),
        ("a --push", r#""artifacts": ["a"], "outputs": ["registry"]"#, Some("a push needs a tag")),
        (
            "a --push -t a",
            r#""artifacts": ["a"], "tags": ["a"], "outputs": ["registry"]"#,
            Some("has no registry"),
        ),
        ("a -o x", r#""artifacts": ["a"], "outputs": ["x"]"#, Some("`x` is not a")),
        (
            "a -o oci-archive:-",
            r#""artifacts": ["a"], "outputs": ["oci-archive:-"]"#,
            Some("standard output"),
        ),
        (
            "a -o oci:b -o oci:b",
            r#""artifacts": ["a"], "outputs": ["oci:b", "oci:b"]"#,
            Some("written twice"),
        ),
        ("a --platform x", r#""artifacts": ["a"], "platforms": ["x"]"#, Some("`x`")),
        ("a --compression x", r#""artifacts": ["a"], "compression": "x""#, Some("`x`")),
    ]);
}

#[test]
fn sources_are_described_alike() {
    check(&[
        ("src", r#""sourceBuild": { "location": "src" }"#, None),
        ("src --source-builder golang", r#""sourceBuild": { "location": "src", "builder": "golang" }"#, None),
        (
            "src --context-dir web --no-submodules --follow-links --exclude x",
            r#""sourceBuild": { "location": "src", "source":
                { "contextDirectory": "web", "submodules": false, "followLinks": true, "exclude": "x" } }"#,
            None,
        ),
        (
            "https://h.example/a.git --ref v1",
            r#""sourceBuild": { "location": "https://h.example/a.git#v1" }"#,
            None,
        ),
        (
            "src --build-env A=1 --build-env TOKEN",
            r#""sourceBuild": { "location": "src", "buildEnvironment": [{ "name": "A", "value": "1" }],
                "buildSecrets": [{ "name": "TOKEN", "value": "env:TOKEN" }] }"#,
            None,
        ),
        (
            "src --secret id=n,src=/x",
            r#""sourceBuild": { "location": "src", "secrets": ["id=n,src=/x"] }"#,
            None,
        ),
        ("src --incremental", r#""sourceBuild": { "location": "src", "incremental": {} }"#, None),
        (
            "src --runtime-image run:1 --runtime-artifact /x:y",
            r#""sourceBuild": { "location": "src", "runtime": { "image": "run:1", "artifacts": ["/x:y"] } }"#,
            None,
        ),
        ("src --inject /a:b", r#""sourceBuild": { "location": "src", "injections": ["/a:b"] }"#, None),
        ("src --volume c:/b:ro", r#""sourceBuild": { "location": "src", "volumes": ["c:/b:ro"] }"#, None),
        ("src --allowed-uids 1-,5", r#""sourceBuild": { "location": "src", "allowedUids": "1-,5" }"#, None),
        (
            "src --add-host db:10.0.0.1",
            r#""sourceBuild": { "location": "src", "addHosts": ["db:10.0.0.1"] }"#,
            None,
        ),
        (
            "src --cap-drop NET_RAW",
            r#""sourceBuild": { "location": "src", "dropCapabilities": ["NET_RAW"] }"#,
            None,
        ),
        ("src --no-build-cache", r#""sourceBuild": { "location": "src", "skipCaches": true }"#, None),
        ("src --cache-key k", r#""sourceBuild": { "location": "src", "cacheKey": "k" }"#, None),
        (
            "src --scripts-url image:///s",
            r#""sourceBuild": { "location": "src", "scripts": "image:///s" }"#,
            None,
        ),
        (
            "src --path p",
            r#""sourceBuild": { "location": "src" }, "input": { "memberPath": "p" }"#,
            Some("for archives of finished artifacts"),
        ),
        (
            "src --keep-tree",
            r#""sourceBuild": { "location": "src" }, "input": { "keepTree": true }"#,
            Some("for archives of finished artifacts"),
        ),
        (
            "src --volume x",
            r#""sourceBuild": { "location": "src", "volumes": ["x"] }"#,
            Some("`x` is not a mount"),
        ),
        (
            "src --secret n",
            r#""sourceBuild": { "location": "src", "secrets": ["n"] }"#,
            Some("is not a field of a secret"),
        ),
        (
            "src --allowed-uids 5-1",
            r#""sourceBuild": { "location": "src", "allowedUids": "5-1" }"#,
            Some("is empty"),
        ),
        (
            "src --add-host db",
            r#""sourceBuild": { "location": "src", "addHosts": ["db"] }"#,
            Some("`db` is not"),
        ),
        (
            "src --cap-drop net_row",
            r#""sourceBuild": { "location": "src", "dropCapabilities": ["net_row"] }"#,
            Some("is not a valid capability"),
        ),
        (
            "src --scripts-url ftp://x",
            r#""sourceBuild": { "location": "src", "scripts": "ftp://x" }"#,
            Some("`ftp`"),
        ),
        (
            "src --cache-key=",
            r#""sourceBuild": { "location": "src", "cacheKey": "" }"#,
            Some("a cache key must"),
        ),
        (
            "https://me:pw@h.example/a.git",
            r#""sourceBuild": { "location": "https://me:pw@h.example/a.git" }"#,
            Some("h.example"),
        ),
    ]);
}
