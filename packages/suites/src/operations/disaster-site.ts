import { sleep, systemClock } from '@holdfast/foundation';
import type { DisasterPlanOptions } from '@holdfast/operations';
import { type Stage, openStage } from '@holdfast/stage';
import { Client } from 'pg';

const PAUSE_MS = 5;
const ANSWER_MS = 2_000;

/** A service with a primary, a standby, and the address by which its clients find the one that takes writes. */
export interface DisasterSite {
  readonly stage: Stage<{ postgres: 'replica' }>;
  /** The options of the plan that moves it to the standby. */
  readonly plan: DisasterPlanOptions;
  /** Where clients are led to. */
  address(): string;
  /** Writes numbered rows until it is stopped; returns those that were acknowledged. */
  startWriting(): { stop(): Promise<number> };
  /** Whether the site that clients reach takes a write, and which acknowledged rows it lacks. */
  check(acknowledged: number): Promise<readonly string[]>;
  /** Whether the site that served first takes a write. */
  oldSiteTakesWrites(): Promise<boolean>;
  /** Runs a statement at the site that clients reach. */
  execute(sql: string): Promise<void>;
  close(): Promise<void>;
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: ANSWER_MS,
    query_timeout: ANSWER_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** What the standby has received and does not show yet: its age, without asking the old site. */
const BEHIND = `select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
  else extract(epoch from now() - pg_last_xact_replay_timestamp()) * 1000 end as lag`;

/** Rows are acknowledged once the standby has them. */
const SETTINGS = { synchronous_commit: 'remote_apply', synchronous_standby_names: '*' };

/** What the routes lead to; the highest fence that has switched it counts. */
interface Route {
  url: string;
  fence: bigint;
}

function planFor(stage: DisasterSite['stage'], route: Route): DisasterPlanOptions {
  const { primary, replica } = stage.postgres;
  return {
    lagMs: async () => {
      const [row] = await ask(replica.url, BEHIND);
      return Number(row?.['lag']);
    },
    // Whoever is gone writes no more; the certain way with a machine that does not answer.
    fence: async () => primary.kill(),
    unfence: async () => primary.start(),
    promote: async ({ signal }) => {
      const [row] = await ask(replica.url, 'select pg_is_in_recovery() as waits');
      if (row?.['waits'] === true) await stage.postgres.promote({ signal });
      await ask(replica.url, "alter system set synchronous_standby_names = ''");
      await ask(replica.url, 'select pg_reload_conf()');
    },
    routes: [
      {
        name: 'dns',
        activate: async ({ fence }) => {
          if (fence < route.fence) throw new Error('a later plan has switched the route');
          Object.assign(route, { url: replica.url, fence });
        },
      },
    ],
    maxAttempts: 20,
    initialDelayMs: 100,
  };
}

export async function openDisasterSite(): Promise<DisasterSite> {
  const stage = await openStage({ postgres: { replica: true, settings: SETTINGS } });
  const { primary } = stage.postgres;
  await ask(primary.url, 'create table orders (id int primary key, at timestamptz default now())');
  const route: Route = { url: primary.url, fence: 0n };
  return {
    stage,
    address: () => route.url,
    plan: planFor(stage, route),
    startWriting() {
      const ending = new AbortController();
      let acknowledged = 0;
      const write = async (): Promise<void> => {
        while (!ending.signal.aborted) {
          const sql = `insert into orders (id) values (${acknowledged + 1}) on conflict do nothing`;
          try {
            await ask(route.url, sql);
            acknowledged += 1;
          } catch {
            // The client tries again, at the address that counts by then.
          }
          await sleep(systemClock, PAUSE_MS);
        }
      };
      const written = write();
      return {
        async stop() {
          ending.abort();
          await written;
          return acknowledged;
        },
      };
    },
    async check(acknowledged) {
      try {
        const counted = 'select count(*)::int as rows from orders where id > 0';
        const [row] = await ask(route.url, counted);
        const missing = acknowledged - Number(row?.['rows']);
        await ask(
          route.url,
          `insert into orders (id) values (-${1 + Math.floor(systemClock.now())})`,
        );
        return missing > 0 ? [`${missing} acknowledged rows are missing`] : [];
      } catch (error) {
        return [`the site does not take writes: ${String(error)}`];
      }
    },
    async oldSiteTakesWrites() {
      try {
        await ask(primary.url, 'insert into orders (id) values (0)');
        return true;
      } catch {
        return false;
      }
    },
    async execute(sql) {
      await ask(route.url, sql);
    },
    close: async () => stage.close(),
  };
}
