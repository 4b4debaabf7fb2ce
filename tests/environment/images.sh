# Builds the base images once for each state of their definitions and of the list of packages that they are made of, and
# loads them where they are missing. Sourced by `manage`.

images_directory() {
    echo "$state/images/$({
        cd "$environment/images" && find . -type f -print0 | sort -z | xargs -0 sha256sum
        name_of_all_packages
    } | name_of_text)"
}

build_images() {
    local directory
    directory=$(images_directory)
    if [ ! -e "$directory/manifest.json" ]; then
        rm -rf "$directory" "$directory.new"
        mkdir -p "$directory.new"
        say "building base images (log: $state/log/images.log)"
        local status=0
        "$BASH" "$environment/images/build" "$directory.new" >"$state/log/images.log" 2>&1 </dev/null {lock}>&- || status=$?
        if [ "$status" -ne 0 ]; then
            tail -n 30 "$state/log/images.log" >&2
            return 1
        fi
        mv "$directory.new" "$directory"
    fi
    touch "$directory"
    find "$state/images" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +
}

# Loads those images that a daemon lacks or has with another ID: load_images docker|podman HOST
#
# Both take a `docker save` archive with several images; an image's ID is the digest of its config on both.
load_images() {
    local kind=$1 host=$2 directory wanted missing=() name config found
    directory=$(images_directory)
    while read -r name config; do
        wanted=${config%.json}
        found=$("$docker_cli" --host "$host" image inspect --format '{{.Id}}' "$name" 2>/dev/null || true)
        [ "${found#sha256:}" = "$wanted" ] || missing+=("$name")
    done < <(jq --raw-output '.[] | "\(.RepoTags[0]) \(.Config)"' "$directory/manifest.json")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "loading ${#missing[@]} images into $kind"
    local chosen
    chosen=$(mktemp -d "$state/run/load.XXXXXX")
    jq '[.[] | select(.RepoTags[0] as $tag | $ARGS.positional | index($tag))]' "$directory/manifest.json" \
        --args "${missing[@]}" >"$chosen/manifest.json"
    local members
    mapfile -t members < <(jq --raw-output '[.[] | .Config, .Layers[]] | unique[]' "$chosen/manifest.json")
    tar --create --directory "$directory" "${members[@]}" --directory "$chosen" manifest.json |
        "$docker_cli" --host "$host" load >"$state/log/load-$kind.log" 2>&1 || {
        cat "$state/log/load-$kind.log" >&2
        fail "$kind could not load the base images"
    }
    rm -rf "$chosen"
}
