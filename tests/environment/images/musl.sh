# musl:1, BusyBox, musl's dynamic linker and CA certificates, as `alpine`; musl-cxx:1, the same with GCC's run-time libraries,
# as `node:24-alpine`; no-shell:1, a base with a file and nothing else.
# Sourced by `build`.

# A root with BusyBox and its applets, the users root and nobody, and a /tmp for all.
busybox_root() {
    local root=$1 applet
    mkdir -p "$root"/{bin,etc,root,tmp,usr/bin,usr/local/bin,var/tmp,dev,proc,sys}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    chmod 700 "$root/root"
    cp "$packages/busybox-static/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    ln -s ../../bin/env "$root/usr/bin/env"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
}

musl_layers() {
    local root=$work/musl loader=ld-musl-$musl_architecture.so.1
    busybox_root "$root"
    mkdir -p "$root/lib" "$root/usr/lib"
    cp "$packages/musl/lib/$musl_architecture-linux-musl/libc.so" "$root/lib/$loader"
    ln -s "$loader" "$root/lib/libc.musl-$musl_architecture.so.1"
    printf 'ID=b2i-test-musl\nPRETTY_NAME="b2i test base with musl"\nVERSION_ID=1\n' >"$root/etc/os-release"
    mkdir -p "$root/etc/ssl/certs"
    cat /usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    layer musl "$root" .
    musl_cxx_layer

    mkdir -p "$work/no-shell/etc"
    echo 'ID=b2i-test-no-shell' >"$work/no-shell/etc/os-release"
    layer no-shell "$work/no-shell" .
}

# GCC's run-time libraries for musl. Debian has none: these are the copies of Alpine's that a wheel brings along. Those of
# later wheels have relocations that Debian's musl does not know.
musl_cxx_layer() {
    local root=$work/musl-cxx wheel=$work/wheel library
    mkdir -p "$wheel" "$root/usr/lib"
    cat >"$wheel/requirements" <<'END'
greenlet==3.0.3 --hash=sha256:2516a9957eed41dd8f1ec0c604f1cdc86758b587d964668b5b196a9db5bfcde6 --hash=sha256:1f672519db1796ca0d8753f9e78ec02355e862d0998193038c7073045899f305
END
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --python-version 3.12 --platform "musllinux_1_1_$musl_architecture" --dest "$wheel" --requirement "$wheel/requirements"
    unzip -q "$wheel"/*.whl 'greenlet.libs/*' -d "$wheel"
    for library in "$wheel"/greenlet.libs/*.so*; do
        cp "$library" "$root/usr/lib/"
        case $library in
        */libstdc++-*) ln -s "$(basename "$library")" "$root/usr/lib/libstdc++.so.6" ;;
        */libgcc_s-*) ln -s "$(basename "$library")" "$root/usr/lib/libgcc_s.so.1" ;;
        esac
    done
    layer musl-cxx "$root" .
}

musl_images() {
    image b2i-test/musl:1 "{Env: [\"PATH=$debian_path\"], Cmd: [\"/bin/sh\"]}" musl
    image b2i-test/musl-cxx:1 "{Env: [\"PATH=$debian_path\"], Cmd: [\"/bin/sh\"]}" musl musl-cxx
    image b2i-test/no-shell:1 "{Env: [\"PATH=$debian_path\"]}" no-shell
}
