#!/usr/bin/env bash
# A base image made of this machine's own files, where no registry can be reached: busybox, a Node
# binary with its shared libraries, and the user 1000. About 120 MB, the same for the same inputs.
#   DOCKER_HOST=... scripts/node-base-image.sh IMAGE [NODE]      NODE: node_modules/node/bin/node
set -euo pipefail
image=${1:?usage: scripts/node-base-image.sh IMAGE [NODE]}
node=$(readlink -f "${2:-$(dirname "$0")/../node_modules/node/bin/node}")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,usr/local/bin,usr/bin,etc,tmp,root,lib64,var,proc,sys,dev}
chmod 1777 "$root/tmp"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
  [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
ln -s ../../bin/env "$root/usr/bin/env"
cp "$node" "$root/usr/local/bin/node"
ldd "$node" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
tar -C "$root" --numeric-owner --owner=0 --group=0 --sort=name -c . |
  docker import -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' -c 'CMD ["node"]' - "$image"
