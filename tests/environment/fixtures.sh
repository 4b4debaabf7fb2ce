# Builds the fixtures once for each state of their sources and of the list of packages that they are compiled against.
# Sourced by `manage`.

fixtures_directory() {
    echo "$state/fixtures/$({
        cd "$environment/.." && find fixtures environment/build-fixtures -type f -print0 | sort -z | xargs -0 sha256sum
        name_of_packages
    } | name_of_text)"
}

build_fixtures() {
    local directory
    directory=$(fixtures_directory)
    if [ ! -e "$directory/complete" ]; then
        rm -rf "$directory" "$directory.new"
        mkdir -p "$directory.new"
        local status=0
        "$BASH" "$environment/build-fixtures" "$directory.new" >"$state/log/fixtures.log" 2>&1 </dev/null {lock}>&- || status=$?
        if [ "$status" -ne 0 ]; then
            tail -n 30 "$state/log/fixtures.log" >&2
            return 1
        fi
        touch "$directory.new/complete"
        mv "$directory.new" "$directory"
    fi
    touch "$directory"
    find "$state/fixtures" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +
}
