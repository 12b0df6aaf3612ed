import { environment } from '@holdfast/foundation';
import { type Database, type DatabaseOptions, createDatabase } from '@holdfast/database';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { withTimeout } from '@holdfast/resilience';
import { type PgBouncer, type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { Client } from 'pg';
import { waitUntil as untilYes } from '../wait-until.ts';

/** A server that a proxy can forward to. */
export type PostgresTarget = Pick<ServerHandle, 'host' | 'port' | 'url'>;

/** A separate Postgres and everything that a scenario opens for it; closing removes all of it. */
export interface PostgresFixture {
  readonly mode: StageMode;
  readonly primary: ServerHandle;
  /** A database on the primary, or on the hosts that the options name. */
  database(options?: Partial<DatabaseOptions>): Database;
  /** A fault proxy in front of a server, by default the primary, and the URL through that proxy. */
  proxy(server?: PostgresTarget): Promise<{ proxy: FaultProxy; url: string }>;
  /** Queries a server, by default the primary, without the pool; one connection per statement. */
  readonly ask: (
    sql: string,
    values?: readonly unknown[],
    server?: ServerHandle,
  ) => Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export interface ReplicatedPostgresFixture extends PostgresFixture {
  readonly replica: ServerHandle;
  /** Promotes the replica to a primary. */
  promote(): Promise<void>;
}

interface PostgresFixtureOptions {
  /** Parameters of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The major version. Default: that of the run. */
  readonly version?: number;
  /** The size of a separate disk that can be filled. */
  readonly diskMaxBytes?: number;
}

/** The major version that the suite uses. Default: the stage's choice. */
const VERSION = environment['HOLDFAST_POSTGRES_VERSION'];
const version = VERSION === undefined ? {} : { version: Number(VERSION) };

/** No proxy: scenarios open their own, and a killed server has to refuse connections itself. */
const BARE = { link: false } as const;

const END_WITHIN_MS = 2_000;
const CLOSE_WITHIN_MS = 20_000;
const TRUE_WITHIN_MS = 30_000;

export async function openPostgresFixture(
  options: PostgresFixtureOptions = {},
): Promise<PostgresFixture> {
  const { settings = {}, version: own, ...disk } = options;
  const chosen = own === undefined ? version : { version: own };
  const stage = await openStage({ ...BARE, ...disk, postgres: { settings, ...chosen } });
  return around(stage.postgres.primary, stage);
}

export async function openReplicatedPostgresFixture(
  options: PostgresFixtureOptions = {},
): Promise<ReplicatedPostgresFixture> {
  const { settings = {}, version: own, ...disk } = options;
  const chosen = own === undefined ? version : { version: own };
  const stage = await openStage({
    ...BARE,
    ...disk,
    postgres: { replica: true, settings, ...chosen },
  });
  const { postgres } = stage;
  const { primary, replica } = postgres;
  return { ...around(primary, stage), replica, promote: () => postgres.promote() };
}

/** A Postgres behind a PgBouncer; databases lead to the PgBouncer, and `ask` to the Postgres. */
export interface PoolerFixture extends PostgresFixture {
  readonly pooler: PgBouncer;
}

/** It tries a server that is back soon. In session mode each of its clients needs a connection of its own. */
const poolerSettings = (mode: PgBouncer['mode']): Record<string, string> => ({
  server_login_retry: '1',
  default_pool_size: mode === 'session' ? '30' : '8',
});

export async function openPoolerFixture(mode: PgBouncer['mode']): Promise<PoolerFixture> {
  const pgbouncer = { mode, settings: poolerSettings(mode) };
  const stage = await openStage({ mode: 'local', ...BARE, postgres: { pgbouncer, ...version } });
  const { primary, pgbouncer: pooler } = stage.postgres;
  const fixture = around(primary, stage);
  return {
    ...fixture,
    pooler,
    database: (options) => fixture.database({ hosts: pooler.url, ...options }),
  };
}

function around(
  primary: ServerHandle,
  stage: { readonly mode: StageMode; close(): Promise<void> },
): PostgresFixture {
  const databases: Database[] = [];
  const proxies: FaultProxy[] = [];
  return {
    mode: stage.mode,
    primary,
    database(options = {}) {
      const database = createDatabase({ hosts: primary.url, ...options });
      databases.push(database);
      return database;
    },
    async proxy(server: PostgresTarget = primary) {
      const { host, port } = server;
      const proxy = await createFaultProxy({ target: { host, port }, holdsProcess: false });
      proxies.push(proxy);
      const url = new URL(server.url);
      url.host = `${proxy.host}:${proxy.port}`;
      return { proxy, url: url.href };
    },
    ask: (sql, values = [], server = primary) => askOnce(server.url, sql, values),
    async close() {
      const ends = databases.map((each) => each.close({ deadlineMs: END_WITHIN_MS }));
      await named('end of the databases', Promise.allSettled(ends));
      await named('end of the proxies', Promise.all(proxies.map((proxy) => proxy.close())));
      await named('end of the stage', stage.close());
    },
  };
}

/** Names the step that hangs at the end of a scenario. */
function named<T>(name: string, work: Promise<T>): Promise<T> {
  return withTimeout(() => work, { name, timeoutMs: CLOSE_WITHIN_MS });
}

async function askOnce(
  url: string,
  sql: string,
  values: readonly unknown[],
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: TRUE_WITHIN_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(sql, [...values]);
    return rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Polls until the answer is yes, for as long as a scenario may take. */
export function untilTrue(ask: () => Promise<boolean> | boolean): Promise<void> {
  return untilYes(ask, TRUE_WITHIN_MS);
}
