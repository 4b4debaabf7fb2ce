# Installs the Debian packages that the tests need and that are missing. Sourced by `manage`.

test_packages=(
    binutils-aarch64-linux-gnu buildah busybox-static bzip2 ca-certificates curl docker-registry docker.io gcc git
    iproute2 iptables jq libc6-dev libtomcat9-java mmdebstrap musl-tools netavark openjdk-17-jdk-headless podman
    python3 python3-pip qemu-user-static runc shellcheck skopeo strace tomcat10 uidmap umoci unzip xz-utils yq zip zstd
)
# AppArmor kernels need its parser before Docker starts a container; a machine without systemd may have no cgroups.
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" != Y ] || test_packages+=(apparmor)
[ -n "$(ls -A /sys/fs/cgroup 2>/dev/null)" ] || test_packages+=(cgroupfs-mount)
# Clients of registries, which a machine may have from elsewhere.
command -v mvn >/dev/null || test_packages+=(maven)
command -v npm >/dev/null || test_packages+=(npm)

missing_packages() {
    local installed
    installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
    printf '%s\n' "${test_packages[@]}" | grep --invert-match --line-regexp --fixed-strings "$installed" || true
}

# Runs one apt-get call, once more after `apt-get update` if the package lists are missing or too old for it.
apt_get() {
    local options=(--quiet=2 --option DPkg::Lock::Timeout=300 --option Acquire::Retries=3)
    if ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 ||
        ! DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" "$@"; then
        echo "apt-get update, then again: $*"
        apt-get "${options[@]}" update
        DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" "$@"
    fi
} >>"$state/log/packages.log" 2>&1 </dev/null

install_packages() {
    local missing policy=/usr/sbin/policy-rc.d own_policy=
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "no apt-get here: the tests need Debian 12 (missing: ${missing[*]})"
    say "installing ${missing[*]}"
    # The packages' own services must not start: the tests start what they need, with their own directories.
    if [ ! -e "$policy" ]; then
        own_policy=$policy
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    local status=0
    apt_get install --yes --no-install-recommends "${missing[@]}" || status=$?
    [ -z "$own_policy" ] || rm -f "$own_policy"
    [ "$status" -eq 0 ] || {
        tail -n 20 "$state/log/packages.log" >&2
        fail "apt-get could not install ${missing[*]}; the end of $state/log/packages.log is above"
    }
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -eq 0 ] || fail "still missing after installation: ${missing[*]}"
}

# Packages whose files go into base images and compile fixtures, but which need not be installed on this machine.
image_packages=(
    busybox-static libeclipse-jdt-core-java libstdc++6 libtomcat10-java libtomcat9-java musl tomcat10 tomcat10-common
)

# What the bases of the source builders are made of, each on top of packages that another layer has.
source_builders=(golang maven nodejs python nginx)
packages_of() {
    case $1 in
    golang) echo golang-1.19-go ;;
    maven) echo openjdk-17-jdk-headless maven libmaven-{clean,compiler,deploy,install,jar,resources,war}-plugin-java libsurefire-java libservlet-api-java ;;
    nodejs) echo nodejs npm ;;
    python) echo python3 python3-pip python3-setuptools python3-wheel gunicorn ;;
    nginx) echo nginx-light ;;
    esac
}
# The essential packages without apt, which calls itself essential.
base_packages='?and(?essential,?not(?exact-name(apt)))'
packages_below() {
    case $1 in
    maven) echo "$base_packages" openjdk-17-jre-headless ca-certificates-java ;;
    *) echo "$base_packages" ;;
    esac
}

# A short name for what is read here.
name_of_text() { sha256sum | cut -c 1-16; }

# Names for what is downloaded for images and fixtures, and for a source builder: others as soon as the lists are others,
# so that what an older list left in the state directory is not taken for it.
name_of_packages() { printf '%s\n' "${image_packages[@]}" | name_of_text; }
name_of_source_builder() { echo "$(packages_of "$1") / $(packages_below "$1")" | name_of_text; }
name_of_all_packages() {
    local name
    {
        name_of_packages
        for name in "${source_builders[@]}"; do name_of_source_builder "$name"; done
    } | name_of_text
}

# apt-get as on a machine that has nothing installed and knows Debian's own packages only.
apt_from_nothing() {
    local options=(--quiet=2 --option Dir::State::status=/dev/null --option APT::Install-Recommends=false)
    if grep --quiet bookworm /etc/apt/sources.list.d/debian.sources 2>/dev/null; then
        options+=(--option Dir::Etc::sourcelist=/etc/apt/sources.list.d/debian.sources --option Dir::Etc::sourceparts=/dev/null)
    fi
    apt-get "${options[@]}" --option Acquire::Retries=3 "$@" </dev/null
}

# The names of these packages and of all that they need.
with_dependencies() { apt_from_nothing install --print-uris "$@" | cut -d ' ' -f 2 | cut -d _ -f 1 | sort; }

# Downloads and unpacks what a source builder's base has beside the layers below, into one tree:
# download_source_builder NAME. Its callers ask how it ended, so nothing in it ends by itself what fails.
download_source_builder() {
    local name=$1 directory=$B2I_TEST_PACKAGES/source/$1 list=$B2I_TEST_PACKAGES/source/$1.list package link wanted below
    read -r -a wanted <<<"$(packages_of "$name")"
    read -r -a below <<<"$(packages_below "$name")"
    mkdir -p "$directory" "$directory.download"
    comm -23 <(with_dependencies "${wanted[@]}") <(with_dependencies "${below[@]}") >"$list"
    [ -s "$list" ] || return 1
    (cd "$directory.download" && apt_from_nothing download $(cat "$list")) || return 1
    for package in "$directory.download"/*.deb; do
        dpkg-deb --extract "$package" "$directory" || return 1
    done
    # Packages may still have files in /lib, which is a link to usr/lib.
    for link in bin sbin lib lib64; do
        [ -d "$directory/$link" ] || continue
        mkdir -p "$directory/usr/$link"
        cp --archive "$directory/$link/." "$directory/usr/$link/"
        rm -rf "${directory:?}/$link"
    done
    rm -rf "$directory.download" "$directory"/usr/share/{doc,man,locale,info,lintian}
}

# Downloads and unpacks them, each into a directory of its name below $B2I_TEST_PACKAGES.
export B2I_TEST_PACKAGES=$state/packages
download_packages() {
    local complete
    complete=$B2I_TEST_PACKAGES/complete-$(name_of_packages)
    [ ! -e "$complete" ] || return 0
    rm -rf "$B2I_TEST_PACKAGES"
    mkdir -p "$B2I_TEST_PACKAGES/download"
    # As root apt says that it downloads "unsandboxed": the directory is ours, not its user's. That is no error.
    (cd "$B2I_TEST_PACKAGES/download" && apt_get download "${image_packages[@]}") || {
        tail -n 20 "$state/log/packages.log" >&2
        fail "apt-get could not download ${image_packages[*]}; the end of $state/log/packages.log is above"
    }
    local package
    for package in "${image_packages[@]}"; do
        dpkg-deb --extract "$B2I_TEST_PACKAGES/download/${package}"_*.deb "$B2I_TEST_PACKAGES/$package"
    done
    rm -rf "$B2I_TEST_PACKAGES/download"
    touch "$complete"
}

download_source_builders() {
    local name complete
    for name in "${source_builders[@]}"; do
        complete=$B2I_TEST_PACKAGES/source/$name.complete-$(name_of_source_builder "$name")
        [ ! -e "$complete" ] || continue
        rm -rf "$B2I_TEST_PACKAGES/source/$name" "$B2I_TEST_PACKAGES/source/$name".*
        # Once more with new package lists: with old ones, a mirror may no longer have what they name.
        download_source_builder "$name" >>"$state/log/packages.log" 2>&1 || {
            apt-get --quiet=2 --option Acquire::Retries=3 update >>"$state/log/packages.log" 2>&1 </dev/null
            rm -rf "$B2I_TEST_PACKAGES/source/$name" "$B2I_TEST_PACKAGES/source/$name".*
            download_source_builder "$name" >>"$state/log/packages.log" 2>&1
        } || {
            tail -n 20 "$state/log/packages.log" >&2
            fail "the packages of the source builder $name could not be had; the end of $state/log/packages.log is above"
        }
        touch "$complete"
    done
}
