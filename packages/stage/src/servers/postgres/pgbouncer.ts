import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SSL_REQUEST } from '@holdfast/protocols/postgres';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import { oneExchange } from '../../system/exchange.ts';
import type { Executable } from '../../system/executable.ts';
import type { ServerSpec } from '../../topology/server-spec.ts';
import { databaseUrl } from './node.ts';
import type {
  PgBouncerMode,
  PgBouncerSettings,
  ResolvedPgBouncerOptions,
} from './pgbouncer-options.ts';
import { POSTGRES_DATABASE, POSTGRES_USER } from './query.ts';

/**
 * A PgBouncer; its URL names the database `postgres`. It answers while its Postgres is away: clients are
 * accepted, and their queries wait for `query_wait_timeout` (120 s).
 */
export interface PgBouncer extends ServerHandle {
  readonly mode: PgBouncerMode;
  /** The URL of its console, for `SHOW POOLS`, `PAUSE`, `RESUME` and the like; it knows simple queries only. */
  readonly adminUrl: string;
  /** The URL of a database of its Postgres. */
  databaseUrl(database: string): string;
}

/** The database of its console. */
const CONSOLE = 'pgbouncer';
const INI = 'pgbouncer.ini';
const USERS = 'users.txt';

/** An SSLRequest: every PgBouncer answers it with one byte, whoever may log in. */
const ENCRYPTION_REQUEST = Buffer.alloc(8);
ENCRYPTION_REQUEST.writeInt32BE(ENCRYPTION_REQUEST.length, 0);
ENCRYPTION_REQUEST.writeInt32BE(SSL_REQUEST, 4);

interface PgBouncerNode {
  readonly options: ResolvedPgBouncerOptions;
  /** The address of its Postgres for clients. */
  readonly target: Endpoint;
  readonly executable: () => Executable;
}

/** A PgBouncer as a process of this machine. */
export function pgBouncerNode({ options, target, executable }: PgBouncerNode): ServerSpec {
  return {
    name: 'postgres.pgbouncer',
    url: (endpoint) => databaseUrl(endpoint, POSTGRES_DATABASE),
    async probe(endpoint, signal) {
      await oneExchange(endpoint, ENCRYPTION_REQUEST, (chunk) => chunk, signal);
      return 'ready';
    },
    // As the service of Debian: it ends when its connections to Postgres are free.
    stopSignal: 'SIGINT',
    local: {
      get executable() {
        return executable();
      },
      async prepare(directory, { host, port }) {
        const users = join(directory, USERS);
        await writeFile(users, `"${POSTGRES_USER}" ""\n`);
        const own = {
          listen_addr: host,
          listen_port: String(port),
          unix_socket_dir: '',
          // Any other user of the Postgres is found by a query.
          auth_file: users,
          auth_user: POSTGRES_USER,
          admin_users: POSTGRES_USER,
          pool_mode: options.mode,
        };
        const settings = { auth_type: 'trust', ...options.settings, ...own };
        const ini = join(directory, INI);
        await writeFile(ini, pgBouncerIni(target, settings));
        return [ini];
      },
    },
  };
}

/** The text of a pgbouncer.ini that passes every database on to one Postgres. */
export function pgBouncerIni({ host, port }: Endpoint, settings: PgBouncerSettings): string {
  const lines = Object.entries(settings).map(([parameter, value]) => `${parameter} = ${value}\n`);
  return `[databases]\n* = host=${host} port=${port}\n[pgbouncer]\n${lines.join('')}`;
}

export function toPgBouncerHandle(handle: ServerHandle, mode: PgBouncerMode): PgBouncer {
  return Object.assign(handle, {
    mode,
    adminUrl: databaseUrl(handle, CONSOLE),
    databaseUrl: (database: string) => databaseUrl(handle, database),
  });
}
