#!/bin/sh
# Stands in for pg_isready in an image that is made without it: begins a session as that user, and is content if
# it is asked for a password or let in.
set -eu
host=127.0.0.1 port=5432 user=postgres
while [ $# -gt 0 ]; do
  case $1 in
    --host=*) host=${1#*=} ;;
    --port=*) port=${1#*=} ;;
    --username=*) user=${1#*=} ;;
    -h) host=$2; shift ;;
    -p) port=$2; shift ;;
    -U) user=$2; shift ;;
  esac
  shift
done
# A start of protocol 3.0: its length, the version, 'user' with a name, an end.
length=$(printf '%03o' $((8 + 5 + ${#user} + 1 + 1)))
said=$(printf "\\000\\000\\000\\$length\\000\\003\\000\\000user\\000$user\\000\\000" |
  nc -w 2 "$host" "$port" | head -c 1)
[ "$said" = R ]
