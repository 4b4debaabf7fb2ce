# Starts a registry on a loopback port, with storage below the state directory. Sourced by `manage`.

registry_address=

# Succeeds if a registry answers at $registry_address (`/v2/` is the distribution specification's check).
registry_answers() {
    local line=
    exec {connection}<>"/dev/tcp/${registry_address%:*}/${registry_address#*:}" || return 1
    printf 'GET /v2/ HTTP/1.0\r\n\r\n' >&"$connection"
    read -r -t 5 line <&"$connection" || true
    exec {connection}>&-
    [[ $line == *" 200 "* ]]
}

start_registry() {
    registry_address=$(cat "$state/run/registry.address" 2>/dev/null || true)
    if [ -n "$(daemon_process registry)" ] && registry_answers 2>/dev/null; then return 0; fi
    stop_registry
    local port attempt
    for attempt in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
        [ "$attempt" -lt 5 ] || fail "no free port for the registry was found"
    done
    registry_address=127.0.0.1:$port
    mkdir -p "$state/registry"
    cat >"$state/run/registry.yml" <<END
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $state/registry}
  delete: {enabled: true}
http: {addr: $registry_address, secret: not-a-secret}
END
    echo "$registry_address" >"$state/run/registry.address"
    start_daemon registry docker-registry serve "$state/run/registry.yml"
    wait_for registry 30 registry_answers
}

# What tests have pushed is thrown away with the registry.
stop_registry() {
    stop_daemon registry
    rm -rf "$state/registry" "$state/run/registry.address"
}
