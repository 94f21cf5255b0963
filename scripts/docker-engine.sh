#!/usr/bin/env bash
# A throwaway Docker Engine from Debian's packages, for the tests of the docker back-end. Needs root.
#   scripts/docker-engine.sh install        apt-get: engine, busybox for the base image
#   export DOCKER_HOST=$(scripts/docker-engine.sh start); ...; scripts/docker-engine.sh stop
#   folder: ATRIUM_DOCKER_DIR (/tmp/atrium-docker), subnet: ATRIUM_DOCKER_NET (172.30.240, a /24)
#
# It listens on a Unix socket only and publishes on loopback only. It lives in mount and cgroup
# namespaces of its own, below the cgroup of whoever starts it, and touches no netfilter table of the
# machine: published ports go through its userland proxy, and a container reaches nothing outside.
set -euo pipefail
export PATH=/usr/sbin:/sbin:/usr/bin:/bin:$PATH
dir=${ATRIUM_DOCKER_DIR:-/tmp/atrium-docker}
net=${ATRIUM_DOCKER_NET:-172.30.240}
socket=$dir/docker.sock
# Not docker0, which may be another engine's.
bridge=atrium-${net##*.}

is_up() { [ -S "$socket" ] && curl -sf --max-time 5 --unix-socket "$socket" http://engine/_ping >/dev/null; }
is_ours() { [ -s "$dir/engine.pid" ] && kill -0 "$(cat "$dir/engine.pid")" 2>/dev/null; }

# The kernel's controllers of version 1 are mounted again, as this namespace sees them: rooted at
# our own cgroup. Where the machine has version 2 only, there is nothing to do.
write_inner() {
  cat >"$dir/inner.sh" <<'INNER'
#!/usr/bin/env bash
for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
  grep -q "^$controller	" /proc/cgroups && [ -d "/sys/fs/cgroup/$controller" ] || continue
  umount "/sys/fs/cgroup/$controller" 2>/dev/null
  mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done
if [ -d /sys/fs/cgroup/systemd ]; then
  umount /sys/fs/cgroup/systemd /sys/fs/cgroup/unified 2>/dev/null
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
exec dockerd "$@"
INNER
  chmod 700 "$dir/inner.sh"
}

start() {
  mkdir -p -m 700 "$dir"
  if ! is_up; then
    write_inner
    ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
    ip addr replace "$net.1/25" dev "$bridge"
    ip link set "$bridge" up
    setsid unshare --mount --cgroup --propagation private "$dir/inner.sh" \
      --host "unix://$socket" --data-root "$dir/data" --exec-root "$dir/exec" \
      --pidfile "$dir/engine.pid" --ip 127.0.0.1 \
      --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
      --bridge "$bridge" --default-address-pool "base=$net.128/25,size=27" \
      --exec-opt native.cgroupdriver=cgroupfs ${ATRIUM_DOCKER_STORAGE:+--storage-driver "$ATRIUM_DOCKER_STORAGE"} \
      >"$dir/engine.log" 2>&1 </dev/null &
    for _ in $(seq 1 300); do
      is_up && break
      sleep 0.1
    done
    is_up || { tail -n 20 "$dir/engine.log" >&2; exit 1; }
  fi
  echo "unix://$socket"
}

# Containers first: what dockerd leaves behind on its own end would keep its cgroups and mounts busy.
stop() {
  is_ours || { echo "docker-engine.sh: no engine of ours in $dir" >&2; return 0; }
  local pid ids
  pid=$(cat "$dir/engine.pid")
  export DOCKER_HOST=unix://$socket
  ids=$(/usr/bin/docker ps -aq 2>/dev/null || true)
  # shellcheck disable=SC2086 # one word per container
  [ -z "$ids" ] || /usr/bin/docker rm -f $ids >/dev/null || true
  networks=$(/usr/bin/docker network ls -q --filter type=custom 2>/dev/null || true)
  # shellcheck disable=SC2086 # one word per network: each is a bridge device of the machine
  [ -z "$networks" ] || /usr/bin/docker network rm $networks >/dev/null || true
  kill "$pid"
  for _ in $(seq 1 150); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$pid" 2>/dev/null; then kill -9 "$pid"; fi
  ip link del "$bridge" 2>/dev/null || true
  # Only what is empty goes: rmdir refuses the cgroups of another engine.
  find /sys/fs/cgroup -depth -type d -path '*/docker*' -exec rmdir {} + 2>/dev/null || true
  rm -rf "$dir"
}

case ${1:-} in
install)
  if ! command -v dockerd >/dev/null || ! command -v busybox >/dev/null || ! command -v ip >/dev/null || [ ! -x /usr/bin/docker ]; then
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends docker.io busybox-static iproute2 curl >&2
  fi
  ;;
start) start ;;
stop) stop ;;
*)
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
  ;;
esac
