#!/usr/bin/env bash
# A throwaway PostgreSQL from Debian's binaries, to run the tests on a server that is not the
# embedded one:   DATABASE_URL=$(scripts/postgres.sh start) npm test; scripts/postgres.sh stop
#   scripts/postgres.sh start|stop      folder: ATRIUM_PG_DIR (/tmp/atrium-pg), port: ATRIUM_PG_PORT (55432),
#                                      connections: ATRIUM_PG_CONNECTIONS (100)
set -euo pipefail
dir=${ATRIUM_PG_DIR:-/tmp/atrium-pg}
port=${ATRIUM_PG_PORT:-55432}
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ]; then
  echo "postgres.sh: no PostgreSQL here; on Debian: apt-get install postgresql" >&2
  exit 1
fi

# PostgreSQL refuses to run as root.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid postgres --regid postgres --init-groups env LC_ALL=C.UTF-8 "$@"
  else
    env LC_ALL=C.UTF-8 "$@"
  fi
}

case ${1:-} in
start)
  mkdir -p "$dir"
  if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
  cd "$dir"
  if [ ! -s data/PG_VERSION ]; then
    (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >password)
    if [ "$(id -u)" = 0 ]; then chown postgres password; fi
    as_owner "$bin/initdb" -D "$dir/data" -U postgres -A scram-sha-256 --pwfile="$dir/password" \
      --no-sync --no-instructions -E UTF8 --locale=C.UTF-8 >/dev/null
  fi
  if ! as_owner "$bin/pg_ctl" -D "$dir/data" status >/dev/null; then
    as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 start \
      -o "-c listen_addresses=127.0.0.1 -p $port -k $dir -c fsync=off -c max_connections=${ATRIUM_PG_CONNECTIONS:-100}" >/dev/null ||
      { tail -n 5 "$dir/log" >&2; exit 1; }
  fi
  echo "postgres://postgres:$(cat password)@127.0.0.1:$port/postgres"
  ;;
stop)
  cd /
  as_owner "$bin/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null
  rm -rf "$dir"
  ;;
*)
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
  ;;
esac
