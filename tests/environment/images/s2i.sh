# S2I builder images that are not ours, good and bad. Sourced by `build`.
#
# b2i-test/s2i-foreign:1 is in the style of KubeSphere's binary builder with everything its own way; the other tags
# differ from it in the one point of their name. b2i-test/s2i-sclorg:1 is in the style of sclorg's images.

# The scripts' layers: `foreign` is the whole root, each other layer replaces or removes a script.
s2i_layers() {
    local root=$work/s2i script
    busybox_root "$root"
    printf 'default:x:1001:0:runs programs:/opt/app-root/src:/bin/sh\nbuilder:x:1002:0:assembles:/opt/app-root/src:/bin/sh\n' \
        >>"$root/etc/passwd"
    mkdir -p "$root"/usr/local/s2i "$root"/opt/s2i/destination "$root"/opt/app-root/src/bin
    cp "$here"/s2i/foreign/* "$root/usr/local/s2i/"
    mv "$root/usr/local/s2i/foreign-entrypoint" "$root/usr/local/bin/"
    chmod 755 "$root"/usr/local/s2i/* "$root"/usr/local/bin/*
    chown -R 1001:0 "$root"/opt/s2i/destination "$root"/opt/app-root
    chmod -R g+rwX "$root"/opt/s2i/destination "$root"/opt/app-root
    layer s2i-foreign "$root" .

    for script in "$here"/s2i/assemble-*; do
        mkdir -p "$work/$(basename "$script")/usr/local/s2i"
        cp "$script" "$work/$(basename "$script")/usr/local/s2i/assemble"
        chmod 755 "$work/$(basename "$script")/usr/local/s2i/assemble"
        layer "s2i-$(basename "$script")" "$work/$(basename "$script")" usr/local/s2i/assemble
    done
    # Whiteouts (image-spec, "Representing Changes"): an empty file `.wh.NAME` removes NAME of a lower layer.
    mkdir -p "$work/no-scripts/usr/local" "$work/no-run/usr/local/s2i"
    touch "$work/no-scripts/usr/local/.wh.s2i" "$work/no-run/usr/local/s2i/.wh.run"
    layer s2i-no-scripts "$work/no-scripts" usr/local/.wh.s2i
    layer s2i-no-run "$work/no-run" usr/local/s2i/.wh.run

    mkdir -p "$work/sclorg/usr/libexec/s2i" "$work/sclorg/usr/bin"
    cp "$here"/s2i/sclorg/{assemble,run,usage,save-artifacts} "$work/sclorg/usr/libexec/s2i/"
    cp "$here"/s2i/sclorg/container-entrypoint "$work/sclorg/usr/bin/"
    chmod 755 "$work"/sclorg/usr/libexec/s2i/* "$work"/sclorg/usr/bin/*
    layer s2i-sclorg "$work/sclorg" usr/libexec/s2i usr/bin/container-entrypoint
    mkdir -p "$work/kubesphere/usr/libexec/s2i"
    cp "$here"/s2i/kubesphere/{assemble,run} "$work/kubesphere/usr/libexec/s2i/"
    chmod 755 "$work"/kubesphere/usr/libexec/s2i/*
    layer s2i-kubesphere "$work/kubesphere" usr/libexec/s2i
}

s2i_foreign_config="{
    User: \"1001\", WorkingDir: \"/opt/app-root/src\", ExposedPorts: {\"8080/tcp\": {}},
    Entrypoint: [\"/usr/local/bin/foreign-entrypoint\"], Cmd: [\"/usr/local/s2i/usage\"],
    Env: [\"PATH=/opt/app-root/src/bin:$debian_path\", \"APP_ROOT=/opt/app-root\", \"HOME=/opt/app-root/src\",
          \"FOREIGN_BUILDER=s2i-foreign 1\"],
    Labels: {\"io.openshift.s2i.scripts-url\": \"image:///usr/local/s2i\",
             \"io.openshift.s2i.destination\": \"/opt/s2i/destination\",
             \"io.openshift.s2i.assemble-user\": \"1002\",
             \"io.k8s.display-name\": \"Foreign builder\", \"io.k8s.description\": \"Runs a program its own way\",
             \"io.openshift.tags\": \"builder,foreign\", \"foreign.example/kept\": \"yes\"}}"

# foreign TAG CHANGE [LAYER…]: s2i-foreign with a jq filter over its config and further layers.
foreign() {
    local tag=$1 change=$2
    shift 2
    image "b2i-test/s2i-foreign:$tag" "$s2i_foreign_config | $change" s2i-foreign "$@"
}

s2i_images() {
    local label='.Labels["io.openshift.s2i.'
    foreign 1 .
    foreign no-scripts . s2i-no-scripts
    foreign no-run . s2i-no-run
    foreign no-labels '.Labels = {}'
    foreign http-scripts-url "${label}scripts-url\"] = \"http://127.0.0.1:9/scripts\""
    foreign file-scripts-url "${label}scripts-url\"] = \"file:///usr/local/s2i\""
    foreign relative-scripts-url "${label}scripts-url\"] = \"image://usr/local/s2i\""
    foreign relative-destination "${label}destination\"] = \"opt/s2i/destination\""
    foreign unclean-destination "${label}destination\"] = \"/opt/s2i/../../etc\""
    foreign root-assemble-user "${label}assemble-user\"] = \"0\""
    foreign root-user '.User = "root" | del(.Labels["io.openshift.s2i.assemble-user"])'
    foreign named-user '.User = "default" | .Labels["io.openshift.s2i.assemble-user"] = "builder"'
    foreign input-files "${label}assemble-input-files\"] = \"/opt/app-root/src/bin\""
    # Names of the time before OpenShift's prefix, and of the time before labels.
    foreign old-labels '.Labels = {"io.s2i.scripts-url": "image:///usr/local/s2i", "io.s2i.destination": "/opt/s2i/destination"}'
    foreign environment-only '.Labels = {} | .Env += ["STI_SCRIPTS_URL=image:///usr/local/s2i", "STI_LOCATION=/opt/s2i/destination"]'
    foreign onbuild '.OnBuild = ["COPY . /opt/app-root/src/", "RUN /usr/local/s2i/assemble", "USER 0"]'
    # What a result must inherit, and a field that nobody knows.
    foreign inherited '.Healthcheck = {Test: ["CMD", "/bin/true"], Interval: 30000000000, Retries: 2}
        | .Volumes = {"/opt/app-root/data": {}} | .StopSignal = "SIGINT" | .Shell = ["/bin/sh", "-ec"]
        | .ExposedPorts += {"9090/udp": {}} | .ArgsEscaped = true
        | .top = {"example.unknown": {kept: [1, 2, 3]}, variant: ""}'
    foreign fails . s2i-assemble-fails
    foreign metadata . s2i-assemble-metadata
    foreign bad-metadata . s2i-assemble-bad-metadata
    foreign hangs . s2i-assemble-hangs
    foreign ignores-term . s2i-assemble-ignores-term
    foreign reads-stdin . s2i-assemble-reads-stdin
    foreign unterminated . s2i-assemble-unterminated
    foreign verbose . s2i-assemble-verbose
    foreign leaves-process . s2i-assemble-leaves-process
    foreign escapes . s2i-assemble-escapes
    foreign network . s2i-assemble-network
    foreign needs-root '.Labels["io.openshift.s2i.assemble-user"] = "0"' s2i-assemble-needs-root
    image b2i-test/s2i-sclorg:1 "{
        User: \"1001\", WorkingDir: \"/opt/app-root/src\", Entrypoint: [\"container-entrypoint\"],
        Cmd: [\"/usr/libexec/s2i/usage\"],
        Env: [\"PATH=/opt/app-root/src/bin:/opt/app-root/bin:$debian_path\", \"STI_SCRIPTS_URL=image:///usr/libexec/s2i\",
              \"STI_SCRIPTS_PATH=/usr/libexec/s2i\", \"APP_ROOT=/opt/app-root\", \"HOME=/opt/app-root/src\"],
        Labels: {\"io.openshift.s2i.scripts-url\": \"image:///usr/libexec/s2i\",
                 \"io.s2i.scripts-url\": \"image:///usr/libexec/s2i\", \"io.openshift.expose-services\": \"8080:http\"}}" \
        s2i-foreign s2i-sclorg
    image b2i-test/s2i-kubesphere:1 "{
        User: \"1001\", WorkingDir: \"/opt/app-root/src\",
        Env: [\"PATH=/opt/app-root/src/bin:/opt/app-root/bin:$debian_path\", \"STI_SCRIPTS_PATH=/usr/libexec/s2i\",
              \"APP_ROOT=/opt/app-root\", \"HOME=/opt/app-root/src\"],
        Labels: {\"io.openshift.s2i.scripts-url\": \"image:///usr/libexec/s2i\", \"io.kubesphere.tags\": \"builder,binary\"}}" \
        s2i-foreign s2i-kubesphere
}
