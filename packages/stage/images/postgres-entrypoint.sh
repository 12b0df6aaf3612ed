#!/bin/sh
# Makes a cluster where there is none, as the official image does, then becomes the server.
set -eu
case ${1:-postgres} in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -n "${POSTGRES_PASSWORD:-}" ]; then
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    initdb -D "$PGDATA" -U postgres --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-}
    rm /tmp/password
  elif [ "$method" = trust ]; then
    initdb -D "$PGDATA" -U postgres ${POSTGRES_INITDB_ARGS:-}
  else
    echo 'Error: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust' >&2
    exit 1
  fi
  echo "host all all all $method" >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
fi
exec "$@"
