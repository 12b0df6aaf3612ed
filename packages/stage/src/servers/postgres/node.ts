import { existsSync } from 'node:fs';
import { appendFile, chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address, Environment, ProcessUser, ServerSpec } from '../../topology/server-spec.ts';
import { postgresContainer } from './container.ts';
import { copyDataDirectory, fastDirectory } from './data-directory.ts';
import type { PostgresSettings } from './options.ts';
import { POSTGRES_DATABASE, POSTGRES_USER, askPostgres } from './query.ts';

/** What is known once a stage has found its Postgres. */
export interface PostgresInstallation {
  /** The data folder that every server begins with. */
  readonly template: string;
  readonly user: ProcessUser | undefined;
}

/** Quick to start and to copy; what a test loses by it is the protection against a failing machine. */
const DEFAULTS: PostgresSettings = {
  fsync: 'off',
  full_page_writes: 'off',
  // A fetched Postgres comes without the compiler, and short statements lose by it.
  jit: 'off',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  min_wal_size: '5MB',
  // A replica that is down for a while finds what it missed.
  wal_keep_size: '64MB',
  wal_retrieve_retry_interval: '50ms',
  wal_receiver_status_interval: '1s',
};

/**
 * The folders of template1 and template0: two thirds of the files, and nobody asks for them while the server
 * comes up.
 */
const TEMPLATE_DATABASES = ['base/1', 'base/4'];

/** A session begun while the server cannot take any: it starts, recovers or ends. */
const CANNOT_CONNECT_NOW = '57P03';

/** One Postgres, alone, as the primary or, with `follows`, as a replica of another. */
export function postgresNode(
  node: {
    readonly name: string;
    readonly settings: PostgresSettings;
    readonly follows?: Address;
    readonly ground: () => PostgresInstallation;
    /** As a container; `at` where it listens in the network of the machine itself. */
    readonly image: string;
    readonly at: Address | undefined;
  },
  env: Environment,
): ServerSpec {
  const { name, settings, follows, image, at } = node;
  const source = follows === undefined ? {} : { primary_conninfo: conninfo(follows, name) };
  const all = { ...DEFAULTS, ...settings, ...source };
  return {
    name,
    url: ({ host, port }) => databaseUrl({ host, port }, POSTGRES_DATABASE),
    async probe(address, signal) {
      const reply = await askPostgres(address, { sql: 'select 1' }, signal);
      // Other refusals are answers too: the server is up, and particular.
      const isStarting = reply.kind === 'error' && reply.sqlState === CANNOT_CONNECT_NOW;
      return isStarting ? 'listening' : 'ready';
    },
    // The fast shutdown: sessions are ended, not waited for.
    stopSignal: 'SIGINT',
    local: {
      parentDirectory: fastDirectory(env),
      sharedMemoryFile: 'data/postmaster.pid',
      async prepare(directory, { host, port }) {
        const { template, user } = node.ground();
        const data = join(directory, 'data');
        copyDataDirectory(template, data, user, TEMPLATE_DATABASES);
        await appendFile(join(data, 'postgresql.conf'), postgresqlConf(all));
        if (follows !== undefined) {
          const marker = join(data, 'standby.signal');
          await writeFile(marker, '');
          // It is the server that removes it when it is promoted.
          if (user !== undefined) await chown(marker, user.uid, user.gid);
        }
        const own = {
          listen_addresses: host,
          port: String(port),
          unix_socket_directories: '',
          // A crash leaves nothing in the system's own memory then but what is swept up after it.
          dynamic_shared_memory_type: 'mmap',
        };
        const flags = Object.entries(own).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
        return ['-D', data, ...flags];
      },
      afterFirstLaunch(directory) {
        const { template, user } = node.ground();
        for (const folder of TEMPLATE_DATABASES) {
          const from = join(template, folder);
          // Before version 15 template0 lies elsewhere, and has been copied with the rest.
          if (existsSync(from)) copyDataDirectory(from, join(directory, 'data', folder), user);
        }
      },
    },
    container: postgresContainer({ image, settings: all, follows, at, conf: postgresqlConf }),
  };
}

/** How clients address one database of a server. */
export function databaseUrl({ host, port }: Address, database: string): string {
  return `postgres://${POSTGRES_USER}@${host}:${port}/${database}`;
}

function conninfo({ host, port }: Address, name: string): string {
  return `host=${host} port=${port} user=${POSTGRES_USER} application_name=${name}`;
}

/** Lines of postgresql.conf; a quote within a value is doubled. */
export function postgresqlConf(settings: PostgresSettings): string {
  return Object.entries(settings)
    .map(([parameter, value]) => `${parameter} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}
