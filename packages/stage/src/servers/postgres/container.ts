import type { Address, ContainerSpec } from '../../topology/server-spec.ts';
import type { PostgresSettings } from './options.ts';
import { INITDB_OPTIONS } from './template.ts';

const CONTAINER_PORT = 5_432;
/** Every image lets its own user write here; the volume that some declare lies elsewhere. */
const DATA = '/var/lib/postgresql/holdfast';
const CONF = '/etc/holdfast-postgresql.conf';

/** Where a stand-in image brings what initdb would make. */
const TEMPLATE = '/var/lib/postgresql/template';

/** One Postgres as a container of an official image, or of one that has its programs on PATH as well. */
export interface PostgresContainer {
  readonly image: string;
  readonly settings: PostgresSettings;
  /** Its primary, where it is a replica. */
  readonly follows: Address | undefined;
  /** Where it listens itself, for one whose others must find it there; absent for one that stands alone. */
  readonly at: Address | undefined;
  readonly conf: (settings: PostgresSettings) => string;
}

/**
 * The data are made when there are none: by initdb, or for a replica as a copy that its primary sends. The
 * image's own way would first start a server that is of no use to anybody.
 */
export function postgresContainer(postgres: PostgresContainer): ContainerSpec {
  const { image, settings, follows, at, conf } = postgres;
  const own = {
    listen_addresses: at?.host ?? '*',
    port: String(at?.port ?? CONTAINER_PORT),
    unix_socket_directories: '',
    dynamic_shared_memory_type: 'mmap',
  };
  const flags = Object.entries(own).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const make =
    follows === undefined
      ? [
          `if [ -d ${TEMPLATE} ]; then cp -R ${TEMPLATE} "$PGDATA.new"`,
          `else initdb ${INITDB_OPTIONS.join(' ')} -D "$PGDATA.new" >/dev/null; fi`,
          // The engine's own addresses are those that clients come from.
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
    // A container that was killed meanwhile begins anew.
    'rm -rf "$PGDATA.new"',
    ...make,
    `cat ${CONF} >> "$PGDATA.new/postgresql.conf"`,
    'mv "$PGDATA.new" "$PGDATA"',
    'fi',
    'exec postgres -D "$PGDATA" "$@"',
  ].join('\n');
  return {
    image,
    port: at === undefined ? CONTAINER_PORT : undefined,
    entrypoint: ['sh', '-c', script, 'postgres'],
    command: flags,
    user: 'postgres',
    env: { PGDATA: `${DATA}/data` },
    data: DATA,
    files: [{ path: CONF, content: conf(settings) }],
  };
}
