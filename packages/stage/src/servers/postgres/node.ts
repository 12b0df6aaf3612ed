import { existsSync, renameSync } from 'node:fs';
import { appendFile, chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment, ProcessUser } from '../../system/executable.ts';
import type { ServerSpec } from '../../topology/server-spec.ts';
import { postgresContainer } from './container.ts';
import { assertDataPath, copyDataDirectory, fastDirectory } from './data-directory.ts';
import type { PostgresSettings } from './options.ts';
import { POSTGRES_DATABASE, POSTGRES_USER, askPostgres } from './query.ts';

/** The Postgres that a stage has found. */
export interface PostgresRuntime {
  /** The initial data folder of every server. */
  readonly template: string;
  readonly user: ProcessUser | undefined;
}

/** Quick to start and to copy, without protection against a crash of the machine. */
const DEFAULTS: PostgresSettings = {
  fsync: 'off',
  full_page_writes: 'off',
  // A fetched Postgres has no compiler, and short statements are slower with it.
  jit: 'off',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  min_wal_size: '5MB',
  // Lets a replica catch up after it was down for a while.
  wal_keep_size: '64MB',
  wal_retrieve_retry_interval: '50ms',
  wal_receiver_status_interval: '1s',
};

/** What initdb writes: a standby refuses to start with less, until it has replayed that its primary has less. */
const LEAST_OF_STANDBY: Readonly<Record<string, number>> = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
};

/** The folders of template1 and template0: two thirds of the files, which the server does not need to start. */
const TEMPLATE_DATABASES = ['base/1', 'base/4'];

/** The server accepts no session yet, because it starts, recovers or shuts down. */
const CANNOT_CONNECT_NOW = '57P03';

/** One Postgres: standalone, a primary or, with `follows`, a replica. */
export function postgresNode(
  node: {
    readonly name: string;
    readonly settings: PostgresSettings;
    readonly follows?: Endpoint;
    readonly installation: () => PostgresRuntime;
    readonly image: string;
    /** The endpoint of its container in the machine's network; absent for a standalone server. */
    readonly listen: Endpoint | undefined;
  },
  env: Environment,
): ServerSpec {
  const { name, settings, follows, image, listen } = node;
  const source = follows === undefined ? {} : { primary_conninfo: conninfo(follows, name) };
  const given = { ...DEFAULTS, ...settings, ...source };
  const all = follows === undefined ? given : standbySettings(given);
  return {
    name,
    url: ({ host, port }) => databaseUrl({ host, port }, POSTGRES_DATABASE),
    async probe(address, signal) {
      const reply = await askPostgres(address, { sql: 'select 1' }, signal);
      // Other errors show that the server is up.
      const isStarting = reply.kind === 'error' && reply.sqlState === CANNOT_CONNECT_NOW;
      return isStarting ? 'listening' : 'ready';
    },
    // The fast shutdown ends sessions instead of waiting for them.
    stopSignal: 'SIGINT',
    local: {
      parentDirectory: fastDirectory(env),
      sharedMemoryFile: 'data/postmaster.pid',
      async prepare(directory, { host, port }) {
        const { template, user } = node.installation();
        const data = join(directory, 'data');
        assertDataPath(data);
        copyDataDirectory(template, data, user, TEMPLATE_DATABASES);
        await appendFile(join(data, 'postgresql.conf'), postgresqlConf(all));
        if (follows !== undefined) {
          const marker = join(data, 'standby.signal');
          await writeFile(marker, '');
          // The server removes it when it is promoted.
          if (user !== undefined) await chown(marker, user.uid, user.gid);
        }
        const own = {
          listen_addresses: host,
          port: String(port),
          unix_socket_directories: '',
          // A crash then leaves only one segment in the system's shared memory, which the stage removes.
          dynamic_shared_memory_type: 'mmap',
        };
        const flags = Object.entries(own).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
        return ['-D', data, ...flags];
      },
      afterFirstLaunch(directory) {
        const { template, user } = node.installation();
        for (const folder of TEMPLATE_DATABASES) {
          const from = join(template, folder);
          // Before version 15 template0 has another folder, which was copied with the rest.
          if (!existsSync(from)) continue;
          // The server runs already: it must not meet a folder that it does not own yet.
          const copy = join(directory, 'copy');
          copyDataDirectory(from, copy, user);
          renameSync(copy, join(directory, 'data', folder));
        }
      },
    },
    container: postgresContainer({ image, settings: all, follows, listen, conf: postgresqlConf }),
  };
}

/** The URL of one database of a server. */
export function databaseUrl({ host, port }: Endpoint, database: string): string {
  return `postgres://${POSTGRES_USER}@${host}:${port}/${database}`;
}

function conninfo({ host, port }: Endpoint, name: string): string {
  return `host=${host} port=${port} user=${POSTGRES_USER} application_name=${name}`;
}

/** A standby may have more of everything than its primary. */
function standbySettings(settings: PostgresSettings): PostgresSettings {
  const raised = Object.entries(settings).map(([parameter, value]) => {
    const least = LEAST_OF_STANDBY[parameter];
    return [parameter, least !== undefined && Number(value) < least ? String(least) : value];
  });
  return Object.fromEntries(raised);
}

/** Lines of postgresql.conf; a quote in a value is doubled. */
export function postgresqlConf(settings: PostgresSettings): string {
  return Object.entries(settings)
    .map(([parameter, value]) => `${parameter} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}
