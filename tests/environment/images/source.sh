# golang:1.19, maven:3.8-jdk17, nodejs:18, python:3.11 and nginx:1.22: bases of the builders for sources, Debian's tools
# laid out as the official images have them. Sourced by `build`.

# The packages' files without what no test looks at: half of Go's sources are tests and commands, the JDK's jmods are for
# making runtimes.
source_layers() {
    local name
    for name in golang maven nodejs python nginx; do
        cp --archive --link "$packages/source/$name" "$work/source-$name"
        "trim_$name" "$work/source-$name"
        layer "source-$name" "$work/source-$name" .
    done
}

trim_golang() {
    mkdir -p "$1/usr/local"
    ln -s ../lib/go-1.19 "$1/usr/local/go"
    rm -rf "$1"/usr/share/go-1.19/{test,api} "$1"/usr/share/go-1.19/src/cmd/{compile,link,asm,vendor,cover,trace,pprof,dist}
    find "$1/usr/share/go-1.19/src" \( -name testdata -prune -o -name '*_test.go' \) -exec rm -rf {} +
    # Its compiled packages are for cgo and for a debugger's paths, and the template wants neither: without others, each
    # build would compile the library first. These are what an HTTP service needs.
    rm -rf "$1"/usr/lib/go-1.19/pkg/{linux_*,tool/*/{cover,trace,pprof,doc,fix,vet,objdump,nm,test2json,api,addr2line}}
    (
        export GOROOT=$1/usr/lib/go-1.19 GOCACHE=$work/go-cache GOPATH=$work/go GOFLAGS=-trimpath CGO_ENABLED=0 HOME=$work
        go=$GOROOT/bin/go
        "$go" list -deps encoding/json flag log net/http | grep --invert-match --line-regexp unsafe | xargs "$go" install
    )
    rm -rf "$work/go-cache" "$work/go"
}

trim_maven() {
    rm -rf "$1"/usr/lib/jvm/*/{jmods,lib/src.zip} "$1"/usr/share/{binfmts,pixmaps,icons}
    mkdir -p "$1/usr/bin"
    ln -sf ../share/maven/bin/mvn "$1/usr/bin/mvn"
    # Debian's name hides the version.
    local jar
    jar=$(basename "$(find "$1/usr/share/java" -name 'maven3-core-[0-9]*.jar')")
    cp "$1/usr/share/java/maven3-core.jar" "$1/usr/share/maven/lib/maven-${jar#maven3-}"
    rm "$1/usr/share/maven/lib/maven-core-3.x.jar"
}

trim_nodejs() {
    find "$1" -name '*.map' -type f -exec rm -f {} +
    rm -rf "$1"/usr/include "$1"/usr/lib/python3* "$1"/usr/bin/python3*
    # Other packages than npm's own, which Debian's dependencies bring along.
    (cd "$1/usr/share/nodejs" && rm -rf @types @babel core-js core-js-pure core-js-compat web-streams-polyfill webpack \
        typescript lodash-es terser caniuse-lite)
}

trim_python() {
    rm -rf "$1"/usr/share/python-wheels
    # The official images have both names.
    ln -s python3 "$1/usr/bin/python"
}

trim_nginx() { mkdir -p "$1/var/log/nginx"; }

source_images() {
    image b2i-test/golang:1.19 "{Env: [\"PATH=/go/bin:/usr/local/go/bin:$debian_path\", \"GOPATH=/go\"], WorkingDir: \"/go\",
        Cmd: [\"bash\"]}" glibc source-golang
    image b2i-test/maven:3.8 "{Env: ([\"PATH=/opt/java/openjdk/bin:$debian_path\", \"MAVEN_HOME=/usr/share/maven\",
        \"MAVEN_CONFIG=/root/.m2\"] + $jre_environment), Cmd: [\"mvn\"]}" glibc jre source-maven
    image b2i-test/nodejs:18 "{Env: [\"PATH=$debian_path\", \"NODE_VERSION=18\"], Entrypoint: [\"node\"], Cmd: [\"node\"]}" \
        glibc source-nodejs
    image b2i-test/python:3.11 "{Env: [\"PATH=$debian_path\", \"LANG=C.UTF-8\"], Cmd: [\"python3\"]}" glibc source-python
    image b2i-test/nginx:1.22 "{Env: [\"PATH=$debian_path\"], Entrypoint: [\"/docker-entrypoint.sh\"], StopSignal: \"SIGQUIT\",
        ExposedPorts: {\"80/tcp\": {}}, Cmd: [\"nginx\", \"-g\", \"daemon off;\"]}" glibc source-nginx
}
