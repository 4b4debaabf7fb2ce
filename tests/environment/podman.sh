# Starts a Podman API service with its own storage below the state directory. Sourced by `manage`.

podman_host=unix://$state/run/podman.sock

podman_answers() { "$docker_cli" --host "$podman_host" version; }

start_podman() {
    if [ -n "$(daemon_process podman)" ] && podman_answers >/dev/null 2>&1; then return 0; fi
    stop_podman
    mount_cgroups
    configure_podman
    # conmon leaves a file `oom` in its working directory when a container ran out of memory.
    start_daemon podman env --chdir="$state/run" CONTAINERS_CONF="$state/podman/containers.conf" \
        CONTAINERS_STORAGE_CONF="$state/podman/storage.conf" CONTAINERS_REGISTRIES_CONF="$state/podman/registries.conf" \
        REGISTRY_AUTH_FILE="$state/podman/auth.json" podman --log-level warn system service --time 0 "$podman_host"
    wait_for podman 60 podman_answers
    chown "$owner" "$state/run/podman.sock"
}

stop_podman() {
    # Containers are not children of the service and would outlive it.
    if [ -n "$(daemon_process podman)" ] && { [ -n "$docker_cli" ] || find_docker_cli "$podman_host"; }; then
        local containers
        mapfile -t containers < <("$docker_cli" --host "$podman_host" ps --all --quiet 2>/dev/null)
        [ "${#containers[@]}" -eq 0 ] ||
            "$docker_cli" --host "$podman_host" rm --force "${containers[@]}" >/dev/null 2>&1 || true
    fi
    stop_daemon podman
    ip link delete "b2i-podman$(network_number)" 2>/dev/null || true
    local mounted
    while read -r _ mounted _; do
        [[ $mounted != "$state/podman/"* ]] || umount --lazy "$mounted" 2>/dev/null || true
    done < <(tac /proc/mounts)
    rm -f "$state/run/podman.sock"
}

# runc through our wrapper, cgroupfs, file events: what works with and without systemd, on cgroup v1 and v2. The
# network gets its own bridge and addresses, so that it does not meet those of a Podman that is in use here.
# `static_dir` stays unset: the clean-up command that Podman starts when a container ends gets `--root` and would look
# for its database there, not in a directory named here.
configure_podman() {
    local directory=$state/podman driver=overlay number
    number=$(network_number)
    mkdir -p "$directory"/{graph,run,tmp,networks,volumes}
    install -m 755 "$environment/runc-with-inherited-limits" "$directory/"
    [ "$(stat --file-system --format %T "$directory")" != overlayfs ] || driver=vfs
    cat >"$directory/containers.conf" <<END
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$directory/tmp"
volume_path = "$directory/volumes"
[engine.runtimes]
runc = ["$directory/runc-with-inherited-limits"]
[network]
network_backend = "netavark"
network_config_dir = "$directory/networks"
END
    cat >"$directory/storage.conf" <<END
[storage]
driver = "$driver"
graphroot = "$directory/graph"
runroot = "$directory/run"
END
    cat >"$directory/registries.conf" <<END
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "127.0.0.1"
insecure = true
END
    echo '{}' >"$directory/auth.json"
    cat >"$directory/networks/podman.json" <<END
{
  "name": "podman",
  "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b95cc1f",
  "driver": "bridge",
  "network_interface": "b2i-podman$number",
  "created": "2026-01-01T00:00:00Z",
  "subnets": [{"subnet": "10.242.$number.0/24", "gateway": "10.242.$number.1"}],
  "ipv6_enabled": false,
  "internal": false,
  "dns_enabled": false,
  "ipam_options": {"driver": "host-local"}
}
END
}
