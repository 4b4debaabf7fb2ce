# Installs the Debian packages that the tests need and that are missing. Sourced by `manage`.

test_packages=(
    buildah busybox-static bzip2 ca-certificates docker-registry docker.io gcc git iptables iproute2 jq libc6-dev libtomcat9-java
    mmdebstrap musl-tools netavark openjdk-17-jdk-headless podman qemu-user-static runc shellcheck skopeo tomcat10 uidmap umoci unzip
    xz-utils yq zip zstd
)
# AppArmor kernels need its parser before Docker starts a container; a machine without systemd may have no cgroups.
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" != Y ] || test_packages+=(apparmor)
[ -n "$(ls -A /sys/fs/cgroup 2>/dev/null)" ] || test_packages+=(cgroupfs-mount)

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
image_packages=(busybox-static libeclipse-jdt-core-java libtomcat10-java libtomcat9-java musl tomcat10 tomcat10-common)

# Downloads and unpacks them, each into a directory of its name below $B2I_TEST_PACKAGES.
export B2I_TEST_PACKAGES=$state/packages
download_packages() {
    [ ! -e "$B2I_TEST_PACKAGES/complete" ] || return 0
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
    touch "$B2I_TEST_PACKAGES/complete"
}
