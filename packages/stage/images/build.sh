#!/bin/sh
# Builds a stand-in for an official image on a Debian or Ubuntu machine without a registry: the server's
# binaries, the libraries ldd names for them and a busybox, in one layer. It is started like the official
# one ('redis-server <conf>'). Prints the image's name. Needs an engine that answers, apt-get and dpkg.
#
#   HOLDFAST_IMAGE_REDIS=$(packages/stage/images/build.sh redis)
set -eu

say() { printf '%s\n' "build.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

[ $# -eq 1 ] || fail "usage: build.sh redis"
case $1 in
  redis)
    image=holdfast/redis:7
    packages='redis-server redis-tools busybox-static'
    programs='redis-server redis-cli redis-check-aof redis-check-rdb redis-benchmark'
    ;;
  *) fail "unknown server '$1'; known: redis" ;;
esac

docker info >/dev/null 2>&1 || fail "no engine answers 'docker info'; start one, or set DOCKER_HOST"
if [ -n "$(docker images -q "$image")" ]; then
  say "$image is here already; 'docker rmi $image' makes the next run build it anew"
  echo "$image"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/tree"
# apt downloads as its own user where it can.
chmod 755 "$work"
chown _apt "$work/debs" 2>/dev/null || :

# apt works in the folder alone; hooks of the machine's administrator are left out.
cat >"$work/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::Retries "2";
CONF
apt() { apt-get -c "$work/apt.conf" -qq "$@" >&2; }

# The packages and, one step further, the libraries they depend on; libc is the machine's own, because it
# and the loader must be of one build.
apt update || say "not every package source answered; going on with those that did"
libraries=$(apt-cache -c "$work/apt.conf" depends $packages |
  sed -n 's/^ [ |]\(Pre\)\{0,1\}Depends: \(lib[a-z0-9.+-]*\)$/\2/p' | sort -u | grep -vx libc6)
(cd "$work/debs" && apt download $packages $libraries)
for archive in "$work"/debs/*.deb; do dpkg -x "$archive" "$work/tree"; done

# What the programs need at run time, and nothing else.
root=$work/root
mkdir -p "$root/bin" "$root/usr/bin" "$root/etc" "$root/data" "$root/tmp" "$root/proc" "$root/sys" "$root/dev"
chmod 1777 "$root/tmp"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
cp "$work/tree/bin/busybox" "$root/bin/busybox" 2>/dev/null || cp "$work/tree/usr/bin/busybox" "$root/bin/busybox"
for name in sh cat ls ps kill sleep grep awk nc; do ln -s busybox "$root/bin/$name"; done
for name in $programs; do cp -P "$work/tree/usr/bin/$name" "$root/usr/bin/$name"; done

unpacked=$(find "$work/tree" -name '*.so*' -exec dirname {} \; | sort -u | tr '\n' ':')
for name in $programs; do
  LD_LIBRARY_PATH=$unpacked ldd "$root/usr/bin/$name"
done | awk '/=> \//{print $3} /^[ \t]*\//{print $1}' | sort -u >"$work/libraries"
while read -r library; do
  # A library keeps its place; one that was only unpacked gets the place it would be installed at.
  place=${library#"$work/tree"}
  mkdir -p "$root$(dirname "$place")"
  cp -L "$library" "$root$place"
done <"$work/libraries"

tar -C "$root" -c . | docker import \
  --change 'WORKDIR /data' --change 'EXPOSE 6379' --change 'VOLUME /data' \
  --change 'ENV PATH=/usr/bin:/bin' --change 'CMD ["redis-server"]' \
  - "$image" >/dev/null
say "built $image, $(docker image inspect --format '{{.Size}}' "$image") bytes"
echo "$image"
