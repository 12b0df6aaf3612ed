import type { Endpoint } from '../../system/endpoint.ts';
import type { ContainerSpec } from '../../topology/server-spec.ts';
import type { PostgresSettings } from './options.ts';
import { INITDB_OPTIONS } from './template.ts';

const CONTAINER_PORT = 5_432;
/** Writable for the user of every image, and outside of the volume that some declare. */
const DATA = '/var/lib/postgresql/holdfast';
const CONF = '/etc/holdfast-postgresql.conf';

/** The folder in which a stand-in image has the result of initdb. */
const TEMPLATE = '/var/lib/postgresql/template';

/** One Postgres as a container of an official image, or of another one with its executables on PATH. */
interface PostgresContainer {
  readonly image: string;
  readonly settings: PostgresSettings;
  /** Its primary, if it is a replica. */
  readonly follows: Endpoint | undefined;
  /** Its endpoint in the machine's network, where its peers reach it; absent for a standalone server. */
  readonly listen: Endpoint | undefined;
  readonly conf: (settings: PostgresSettings) => string;
}

/**
 * Its script creates the data if there are none: by initdb, or for a replica by a copy from its primary. The
 * entrypoint of the image would first start a temporary server.
 */
export function postgresContainer(postgres: PostgresContainer): ContainerSpec {
  const { image, settings, follows, listen, conf } = postgres;
  const own = {
    listen_addresses: listen?.host ?? '*',
    port: String(listen?.port ?? CONTAINER_PORT),
    unix_socket_directories: '',
    dynamic_shared_memory_type: 'mmap',
  };
  const flags = Object.entries(own).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const make =
    follows === undefined
      ? [
          `if [ -d ${TEMPLATE} ]; then cp -R ${TEMPLATE} "$PGDATA.new"`,
          `else initdb ${INITDB_OPTIONS.join(' ')} -D "$PGDATA.new" >/dev/null; fi`,
          // Clients connect from the engine's addresses.
          `echo 'host all all all trust' >> "$PGDATA.new/pg_hba.conf"`,
          `echo 'host replication all all trust' >> "$PGDATA.new/pg_hba.conf"`,
        ]
      : [
          `until pg_basebackup -h ${follows.host} -p ${follows.port} -U postgres -D "$PGDATA.new" ` +
            `-X stream -c fast --no-sync; do rm -rf "$PGDATA.new"; sleep 0.1; done`,
          'touch "$PGDATA.new/standby.signal"',
        ];
  const script = [
    'set -e',
    'umask 077',
    'if [ ! -s "$PGDATA/PG_VERSION" ]; then',
    'mkdir -p "${PGDATA%/*}"',
    // A container that was killed during the copy begins again.
    'rm -rf "$PGDATA.new"',
    ...make,
    `cat ${CONF} >> "$PGDATA.new/postgresql.conf"`,
    'mv "$PGDATA.new" "$PGDATA"',
    'fi',
    'exec postgres -D "$PGDATA" "$@"',
  ].join('\n');
  return {
    image,
    port: listen === undefined ? CONTAINER_PORT : undefined,
    entrypoint: ['sh', '-c', script, 'postgres'],
    command: flags,
    user: 'postgres',
    env: { PGDATA: `${DATA}/data` },
    data: DATA,
    files: [{ path: CONF, content: conf(settings) }],
  };
}
