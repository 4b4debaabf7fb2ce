# musl:1, BusyBox and musl's dynamic linker, as `alpine`; no-shell:1, a base with a file and nothing else.
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
    layer musl "$root" .

    mkdir -p "$work/no-shell/etc"
    echo 'ID=b2i-test-no-shell' >"$work/no-shell/etc/os-release"
    layer no-shell "$work/no-shell" .
}

musl_images() {
    image b2i-test/musl:1 "{Env: [\"PATH=$debian_path\"], Cmd: [\"/bin/sh\"]}" musl
    image b2i-test/no-shell:1 "{Env: [\"PATH=$debian_path\"]}" no-shell
}
