# Builds the real s2i from its Go module. Sourced by `manage`.

# The version is in s2i/go.mod. A go command from 1.21 on fetches the toolchain that this file names.
s2i_package=github.com/openshift/source-to-image/cmd/s2i
go_proxy=$(cut -d , -f 1 <<<"${GOPROXY:-https://proxy.golang.org}")
# A toolchain is a module too, for machines without Go or with an older one.
go_toolchain=v0.0.1-go1.23.9.linux-amd64
go_toolchain_sum=95d59dc0dad555b3ab6083fc4713bb3f6c57ff6a1a3d457e9e9a5149bfd01393

s2i_program() { echo "$state/s2i/s2i-$(cat "$environment"/s2i/go.* | sha256sum | cut -c 1-16)"; }

build_s2i() {
    local program go
    program=$(s2i_program)
    [ ! -x "$program" ] || return 0
    rm -rf "$state/s2i"
    mkdir -p "$state/s2i/source"
    cp "$environment"/s2i/go.mod "$environment"/s2i/go.sum "$state/s2i/source/"
    go=$(command -v go || true)
    if [ -z "$go" ] || ! "$go" version | grep -qE 'go1\.(2[1-9]|[3-9][0-9])'; then
        download_go
        go=$state/s2i/go/bin/go
    fi
    # Images of other formats than Docker's need libraries of the system, which s2i does not use here.
    local tags="containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper"
    (
        cd "$state/s2i/source"
        export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOCACHE="$state/s2i/cache" GOPATH="$state/s2i/path"
        "$go" build -modcacherw -tags "$tags" -o "$program" "$s2i_package"
    ) >>"$state/log/s2i.log" 2>&1 || {
        tail -n 20 "$state/log/s2i.log" >&2
        fail "s2i could not be built; the end of $state/log/s2i.log is above"
    }
    rm -rf "$state"/s2i/{source,cache,path,go}
}

download_go() {
    local archive=$state/s2i/go.zip
    curl --silent --show-error --fail --location --retry 3 --output "$archive" \
        "$go_proxy/golang.org/toolchain/@v/$go_toolchain.zip" || fail "Go could not be downloaded from $go_proxy"
    echo "$go_toolchain_sum  $archive" | sha256sum --check --quiet - || fail "$archive is not the Go that the tests know"
    unzip -q "$archive" -d "$state/s2i/unpacked"
    mv "$state/s2i/unpacked/golang.org/toolchain@$go_toolchain" "$state/s2i/go"
    # A module's archive keeps no modes.
    chmod 755 "$state"/s2i/go/bin/* "$state"/s2i/go/pkg/tool/*/*
    rm -rf "$archive" "$state/s2i/unpacked"
}
