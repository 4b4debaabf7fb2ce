# Finds a Docker daemon or starts one of our own below the state directory. Sourced by `manage`.

docker_host=
docker_cli=
# The user's own ~/.docker (contexts, credential helpers) must not steer the tests.
export DOCKER_CONFIG=$state/run/docker-config
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION

# Finds a client that can talk to the daemon at $1: one on PATH may be too new for it or too old.
find_docker_cli() {
    local candidate
    for candidate in "$(command -v docker || true)" /usr/bin/docker; do
        if [ -x "$candidate" ] && "$candidate" --host "$1" version >/dev/null 2>&1; then
            docker_cli=$candidate
            return 0
        fi
    done
    return 1
}

start_docker() {
    mkdir -p "$DOCKER_CONFIG"
    local own=unix://$state/run/docker.sock
    if [ -n "${B2I_TEST_DOCKER_HOST:-}" ] && [ "$B2I_TEST_DOCKER_HOST" != "$own" ]; then
        find_docker_cli "$B2I_TEST_DOCKER_HOST" ||
            fail "no Docker daemon answers at B2I_TEST_DOCKER_HOST=$B2I_TEST_DOCKER_HOST"
        docker_host=$B2I_TEST_DOCKER_HOST
        return 0
    fi
    if [ -S /var/run/docker.sock ] && find_docker_cli unix:///var/run/docker.sock; then
        docker_host=unix:///var/run/docker.sock
        return 0
    fi
    docker_host=$own
    if [ -n "$(daemon_process docker)" ] && find_docker_cli "$own"; then
        # The daemon answers without its bridge too, and then starts no container.
        add_docker_bridge
        return 0
    fi
    stop_docker
    mount_cgroups
    add_docker_bridge
    mkdir -p "$state/docker"
    # No iptables: published ports are served on loopback by docker-proxy, and another daemon's rules stay as they
    # are. The containerd namespaces keep our containers apart if a containerd of the system is used.
    echo '{}' >"$state/run/docker.json"
    start_daemon docker dockerd --config-file "$state/run/docker.json" --data-root "$state/docker" \
        --exec-root "$state/run/docker" --pidfile "$state/run/dockerd.pid" --host "$own" \
        --group "${owner#*:}" --bridge "$(bridge_name)" --iptables=false --ip6tables=false --ip-forward=false \
        --ip-masq=false --containerd-namespace "$(bridge_name)" --containerd-plugins-namespace "$(bridge_name)-plugins" \
        --shutdown-timeout 5 --log-level warn
    wait_for docker 60 find_docker_cli "$own"
    find_docker_cli "$own"
}

stop_docker() {
    stop_daemon docker
    ip link delete "$(bridge_name)" 2>/dev/null || true
    rm -f "$state/run/docker.sock"
}

# One number from 0 to 249 for each state directory, so that two of them share neither bridge nor addresses.
network_number() { echo $((0x$(printf '%s' "$state" | sha256sum | cut -c 1-6) % 250)); }
bridge_name() { echo "b2i-docker$(network_number)"; }

# Our own bridge: two daemons on docker0 would hand out the same addresses.
add_docker_bridge() {
    local bridge
    bridge=$(bridge_name)
    [ -e "/sys/class/net/$bridge" ] || ip link add name "$bridge" type bridge
    ip address replace "10.241.$(network_number).1/24" dev "$bridge"
    ip link set "$bridge" up
}

# Containers need cgroups; a virtual machine without systemd may not have them mounted.
mount_cgroups() {
    [ -n "$(ls -A /sys/fs/cgroup 2>/dev/null)" ] || cgroupfs-mount >&2 || fail "no cgroups: cgroupfs-mount failed"
}
