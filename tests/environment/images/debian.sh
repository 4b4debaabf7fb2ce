# glibc:12, a minimal Debian 12 as `debian:12-slim`; glibc-cxx:12, the same with libstdc++, which `apt` brings into the real
# one; jre:17, OpenJDK 17 and time zones on it, laid out as `eclipse-temurin`.
# Sourced by `build`.

# One mmdebstrap run gives both layers: its hooks are called when the essential packages are in place and when all are.
debian_layers() {
    local sources=() hooks=$work/debian
    # The machine's own mirror, if it is one for this release.
    if grep --quiet bookworm /etc/apt/sources.list.d/debian.sources 2>/dev/null; then
        sources=(/etc/apt/sources.list.d/debian.sources)
    elif grep --quiet bookworm /etc/apt/sources.list 2>/dev/null; then
        sources=(/etc/apt/sources.list)
    fi
    mkdir -p "$hooks"
    # Debian's own alternatives and JRE scripts want a directory for manual pages, though not the pages.
    cat >"$hooks/essential" <<END
set -e
mkdir -p "\$1/usr/share/man/man1"
cd "\$1"
find . -xdev \\( -type f -o -type l -o -type d \\) -printf '%P\t%y\t%m\t%U:%G\t%s\t%C@\t%l\n' | sort >"$hooks/before"
mkdir -p "$hooks/glibc"
cp --archive --one-file-system . "$hooks/glibc/"
END
    cat >"$hooks/all" <<END
set -e
cd "\$1"
mkdir -p opt/java
ln -s ../../usr/lib/jvm/java-17-openjdk-$architecture opt/java/openjdk
cp "$here/jre-entrypoint" __cacert_entrypoint.sh
chmod 755 __cacert_entrypoint.sh
find . -xdev \\( -type f -o -type l -o -type d \\) -printf '%P\t%y\t%m\t%U:%G\t%s\t%C@\t%l\n' | sort >"$hooks/after"
# A directory whose time alone changed needs no entry, but a new one does.
comm -13 "$hooks/before" "$hooks/after" | cut -f 1 >"$hooks/changed"
grep -P '^[^\t]*\td\t' "$hooks/before" | cut -f 1 | sort >"$hooks/old-directories"
sort "$hooks/changed" | comm -23 - "$hooks/old-directories" |
    grep -v -E '^(dev|proc|sys|run|tmp|var/cache|var/log|var/lib/apt)(/|\$)' >"$hooks/jre"
tar --create --no-recursion --files-from "$hooks/jre" | tar --extract --directory "$hooks/jre-root"
END
    mkdir -p "$hooks/jre-root"
    TMPDIR=$work mmdebstrap --variant=essential --format=null --include=ca-certificates-java,openjdk-17-jre-headless,tzdata \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/lintian/*' --dpkgopt=force-unsafe-io \
        --essential-hook="sh $hooks/essential \"\$1\"" --customize-hook="sh $hooks/all \"\$1\"" \
        bookworm /dev/null "${sources[@]}" </dev/null
    layer glibc "$hooks/glibc" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' \
        --exclude='./tmp/*' --exclude='./var/cache/*' --exclude='./var/lib/apt/lists/*' --exclude='./var/log/*' .
    layer jre "$hooks/jre-root" .
    rm -rf "$hooks"
    layer glibc-cxx "$packages/libstdc++6" --exclude=./usr/share .
}

debian_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
jre_environment="[\"JAVA_HOME=/opt/java/openjdk\", \"LANG=C.UTF-8\", \"LC_ALL=C.UTF-8\", \"JAVA_VERSION=jdk-17\"]"

debian_images() {
    image b2i-test/glibc:12 "{Env: [\"PATH=$debian_path\"], Cmd: [\"bash\"]}" glibc
    image b2i-test/glibc-cxx:12 "{Env: [\"PATH=$debian_path\"], Cmd: [\"bash\"]}" glibc glibc-cxx
    image b2i-test/jre:17 "{Env: ([\"PATH=/opt/java/openjdk/bin:$debian_path\"] + $jre_environment),
        Entrypoint: [\"/__cacert_entrypoint.sh\"], Cmd: [\"java\", \"-version\"]}" glibc jre
}
