# shellcheck shell=bash
# Fetches files from package registries into the cache. Sourced by `check-all` and `check`.

cache=${B2I_TEST_STATE:-/var/tmp/b2i-tests}/field/cache

# Each prints nothing and leaves one file or program in the directory: fetch_with_CLIENT PACKAGE DIRECTORY

fetch_with_maven() {
    mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
        -Dartifact="$1" -DoutputDirectory="$2"
}

fetch_with_npm() { npm pack --loglevel error --pack-destination "$2" "$1"; }

fetch_with_pypi() {
    local platform platforms=()
    for platform in any linux_x86_64 manylinux1_x86_64 manylinux2010_x86_64 manylinux2014_x86_64 manylinux_2_{5,12,17,24,27,28}_x86_64; do
        platforms+=(--platform "$platform")
    done
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: "${platforms[@]}" \
        --python-version 3.11 --dest "$2" "$1"
}

fetch_with_debian() { (cd "$2" && apt-get --quiet=2 --option Acquire::Retries=3 download "$1"); }

# A program for one platform, made of a module whose sum the go command verifies.
fetch_with_go() {
    GOBIN=$2 GOFLAGS='-trimpath -buildvcs=false' CGO_ENABLED=0 go install -ldflags=-s "$1"
}

# A program made of a crate and of the versions that its lock file names. Cargo's own temporary target is below the state.
fetch_with_cargo() {
    env --unset=RUSTFLAGS CARGO_TARGET_DIR="$2.target" cargo install --quiet --locked --no-track \
        --root "$2.root" "${1%@*}@${1#*@}" && cp "$2.root"/bin/* "$2/"
    local status=$?
    rm -rf "$2.root" "$2.target"
    return "$status"
}

registry_of() {
    case $1 in
    maven) echo "Maven Central" ;;
    npm) echo "the npm registry" ;;
    pypi) echo PyPI ;;
    debian) echo "Debian's mirror" ;;
    go) echo "the Go module proxy" ;;
    cargo) echo crates.io ;;
    esac
}

# What the clients print if no answer came, as against an answer that is a refusal.
unreachable='could not resolve|name resolution|unknown host|UnknownHost|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT'
unreachable+='|connection refused|connection reset|connect timed out|timed out|failed to establish|network is unreachable'
unreachable+='|temporary failure|no such host|could not connect|dial tcp|from versions: none'

# fetch NAME: prints the path of the file in the cache. If it cannot be had, prints why and returns 1.
fetch() {
    local name=$1 client package sum directory log
    client=$(of_case "$name" .from)
    package=$(of_case "$name" .package)
    sum=$(of_case "$name" .sha256)
    directory=$cache/$client/$(tr -c 'A-Za-z0-9._\n-' _ <<<"$package")
    # Two cases may be of one file.
    mkdir -p "$cache/$client"
    exec {fetching}>"$directory.lock"
    flock "$fetching"
    if [ ! -e "$directory" ]; then
        log=$directory.log
        rm -rf "$directory.new"
        mkdir -p "$directory.new"
        command -v "$(command_of "$client")" >/dev/null || {
            echo "\`$(command_of "$client")\` is missing; it fetches from $(registry_of "$client")"
            return 1
        }
        "fetch_with_$client" "$package" "$directory.new" >"$log" 2>&1 </dev/null || {
            if grep --quiet --ignore-case --extended-regexp "$unreachable" "$log"; then
                echo "$(registry_of "$client") cannot be reached: $(problem_in "$log" "$unreachable")"
            else
                echo "$(registry_of "$client") did not give $package: $(problem_in "$log" .)"
            fi
            return 1
        }
        rm -f "$log"
    fi
    local from=$directory
    [ -e "$from" ] || from=$directory.new
    local files=("$from"/*)
    if [ "${#files[@]}" -ne 1 ] || [ ! -f "${files[0]}" ]; then
        echo "$package gave ${#files[@]} files instead of one"
        return 1
    fi
    if [ -n "$sum" ]; then
        local found
        found=$(sha256sum "${files[0]}" | cut -d ' ' -f 1)
        [ "$found" = "$sum" ] || {
            echo "the digest of $package is $found, not $sum"
            return 1
        }
    fi
    [ "$from" = "$directory" ] || mv "$from" "$directory"
    echo "$directory/$(basename "${files[0]}")"
}

command_of() {
    case $1 in
    maven) echo mvn ;;
    pypi) echo python3 ;;
    debian) echo apt-get ;;
    *) echo "$1" ;;
    esac
}

# The last line of a log that says something like the pattern: problem_in LOG PATTERN
problem_in() {
    sed 's/\x1b\[[0-9;]*m//g' "$1" | grep --ignore-case --extended-regexp "$2" | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-300
}

# unpack FILE DIRECTORY: what tar, unzip and dpkg make of it.
unpack() {
    mkdir -p "$2"
    case $1 in
    *.deb) dpkg-deb --extract "$1" "$2" ;;
    *.zip | *.whl | *.jar) unzip -q "$1" -d "$2" ;;
    *) tar --extract --file "$1" --directory "$2" ;;
    esac
}
