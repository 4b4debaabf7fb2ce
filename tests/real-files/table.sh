# shellcheck shell=bash
# Reads cases.toml, the table of real files. Sourced by `tests/field` and by what it runs.

cases_file=tests/real-files/cases.toml

# The whole table as JSON; what runs for one file gets it by the variable, so that it is read once.
[ -n "${B2I_FIELD_CASES:-}" ] || B2I_FIELD_CASES=$(tomlq --compact-output . "$cases_file") || {
    echo "tests/field: $cases_file needs \`tomlq\` to be read: install the Debian package yq" >&2
    exit 1
}
export B2I_FIELD_CASES

all_names() { jq --raw-output '.case[].name' <<<"$B2I_FIELD_CASES"; }
quick_names() { jq --raw-output '.case[] | select(.quick).name' <<<"$B2I_FIELD_CASES"; }
list_cases() {
    jq --raw-output '.case[] | [.name, .ecosystem, "\(.from) \(.package)"] | @tsv' <<<"$B2I_FIELD_CASES" |
        column -t -s $'\t'
}
# What a case says: of_case NAME FILTER. Prints nothing if it says nothing.
of_case() {
    jq --raw-output --arg name "$1" ".case[] | select(.name == \$name) | $2 // empty" <<<"$B2I_FIELD_CASES"
}
