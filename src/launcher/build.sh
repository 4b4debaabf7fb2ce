#!/bin/sh
# Builds the launcher for amd64 and arm64: build.sh OUTDIR makes OUTDIR/launcher-amd64 and OUTDIR/launcher-arm64, the
# same bytes on every machine. The tools are Debian 12's rustc 1.63 and lld 14, of exactly these versions, downloaded
# (130 MB, verified by apt's signatures) and unpacked below OUTDIR/tools, where a later call finds them again. Needs
# apt, dpkg-deb and the Debian archive keyring; changes nothing on the machine and needs no root.
# DEBIAN_MIRROR names another mirror than deb.debian.org.
set -eu
if [ $# -ne 1 ]; then
    echo 'usage: build.sh OUTDIR' >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
tools=$out/tools
host=$(dpkg --print-architecture)
case $host in
    amd64) triple=x86_64-linux-gnu ;;
    arm64) triple=aarch64-linux-gnu ;;
    *) echo "build.sh: no tools for a $host machine" >&2 && exit 1 ;;
esac
rust=1.63.0+dfsg1-2
llvm=1:14.0.6-12

# A package manager of its own: other sources, state and cache, and both architectures.
download_tools() {
    rm -rf "$tools"
    mkdir -p "$tools/apt/lists/partial" "$tools/apt/cache/archives/partial" "$tools/packages" "$tools/root"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    printf 'deb [signed-by=%s] %s bookworm main\n' \
        "$keyring" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$tools/apt/sources.list"
    cat >"$tools/apt/apt.conf" <<CONF
Dir::State "$tools/apt";
Dir::State::Lists "$tools/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$tools/apt/cache";
Dir::Etc::SourceList "$tools/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "$host";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
    APT_CONFIG=$tools/apt/apt.conf
    export APT_CONFIG
    apt-get -q update >&2
    (
        cd "$tools/packages"
        apt-get -q download "rustc=$rust" "libstd-rust-1.63=$rust" "libstd-rust-dev:amd64=$rust" \
            "libstd-rust-dev:arm64=$rust" "lld-14=$llvm" "libllvm14=$llvm" \
            libz3-4 libedit2 libbsd0 libmd0 libxml2 libicu72 libffi8 >&2
    )
    for package in "$tools"/packages/*.deb; do
        dpkg-deb -x "$package" "$tools/root"
    done
    rm -r "$tools/packages" "$tools/apt"
    : >"$tools/complete"
}

[ -e "$tools/complete" ] || download_tools
export LD_LIBRARY_PATH="$tools/root/usr/lib/$triple"
# Relative paths only, so that none of this machine's can come into the result.
cd "$here/program"
for target in x86_64:amd64 aarch64:arm64; do
    "$tools/root/usr/bin/rustc" --sysroot "$tools/root/usr" --target "${target%:*}-unknown-linux-gnu" \
        --edition 2021 --crate-type bin --crate-name launcher \
        -C opt-level=z -C panic=abort -C lto=fat -C codegen-units=1 -C relocation-model=static \
        -C force-unwind-tables=no -C strip=symbols \
        -C linker-flavor=ld.lld -C linker="$tools/root/usr/lib/llvm-14/bin/ld.lld" \
        -C link-arg=-static -C link-arg=--gc-sections -C link-arg=--build-id=none -C link-arg=--no-eh-frame-hdr \
        -C link-arg=-z -C link-arg=noseparate-code \
        -o "$out/launcher-${target#*:}" launcher.rs
done
