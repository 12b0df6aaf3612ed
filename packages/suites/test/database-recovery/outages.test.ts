import { expect } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { type PostgresFixture, openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import {
  AWAY_MS,
  CALLERS,
  SERVED_WITHIN_MS,
  runDatabaseOutage,
} from '../../src/database/outage.ts';
import { scenario } from '../../src/database/scenario.ts';

scenario(
  {
    promise: 'a Postgres killed under load costs no idempotent call an error',
    fault: `kill -9, start after ${AWAY_MS} ms, ${CALLERS} callers`,
    inContainers: true,
  },
  openPostgresFixture,
  (ground) =>
    runDatabaseOutage(ground, {
      inject: ({ primary }) => primary.kill(),
      recover: ({ primary }) => primary.start(),
    }),
);

scenario(
  {
    promise: 'a Postgres stopped in an orderly way is no different from a killed one',
    fault: `fast shutdown, start after ${AWAY_MS} ms, ${CALLERS} callers`,
  },
  openPostgresFixture,
  (ground) =>
    runDatabaseOutage(ground, {
      inject: ({ primary }) => primary.stop(),
      recover: ({ primary }) => primary.start(),
    }),
);

scenario(
  {
    promise: 'a backend that crashes takes all sessions down, and no idempotent call with them',
    fault: `SIGSEGV to one backend, ${CALLERS} callers`,
    inContainers: true,
  },
  openPostgresFixture,
  (ground) =>
    runDatabaseOutage(ground, {
      inject: async ({ ask }) => {
        const [row] = await ask(
          `select pid from pg_stat_activity where application_name = 'holdfast' limit 1`,
        );
        // Postgres itself is the one that may signal its processes, wherever it stands.
        const crash = `copy (select) to program 'kill -SEGV ${Number(row?.['pid'])}'`;
        // The session that asks for it goes down with the others, before its answer or after it.
        await ask(crash).catch(() => undefined);
      },
      // The server restarts itself.
      recover: async () => undefined,
    }),
);

const ROWS = 300_000;

scenario(
  {
    promise: 'callers wait while a Postgres replays its log, and none gets its 57P03',
    fault: `kill -9 with ${ROWS} rows to replay, ${CALLERS} callers`,
    inContainers: true,
  },
  () => openPostgresFixture({ settings: { checkpoint_timeout: '1h', max_wal_size: '1GB' } }),
  async (ground) => {
    await ground.ask('create table ballast (row int, filler text)');
    await ground.ask(
      `insert into ballast select row, repeat('x', 60) from generate_series(1, ${ROWS}) row`,
    );
    const refusals: string[] = [];
    const seen = (database: ReturnType<PostgresFixture['database']>): void => {
      database.on('connect-failed', ({ error }) => refusals.push(error));
    };
    const watched: PostgresFixture = {
      ...ground,
      database(options) {
        const database = ground.database(options);
        seen(database);
        return database;
      },
    };
    const outcome = await runDatabaseOutage(watched, {
      inject: ({ primary }) => primary.kill(),
      recover: ({ primary }) => primary.start(),
    });
    const starting = refusals.filter((error) => error.includes('57P03')).length;
    return { ...outcome, note: `${outcome.note}; refused while starting: ${starting}` };
  },
);

const TIMEOUT_MS = 500;
const LINKS = 10;
/** What a deadline may be missed by on a busy machine; the promise is 50. */
const SLACK_MS = 2_000;

scenario(
  {
    promise: 'callers of a frozen Postgres hear at their deadline, and are served when it goes on',
    fault: `SIGSTOP for 2 s, ${CALLERS} callers with ${TIMEOUT_MS} ms each`,
    inContainers: true,
  },
  openPostgresFixture,
  async (ground) => {
    const { primary } = ground;
    const database = ground.database({ max: LINKS, queryTimeoutMs: TIMEOUT_MS });
    // A server process that is born while the others are being stopped would go on answering.
    const leases = await Promise.all(Array.from({ length: LINKS }, () => database.acquire()));
    for (const lease of leases) lease.release();
    await primary.freeze();
    const frozenAtMs = systemClock.now();
    const ends = await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        const error = await database.query('select 1').catch((caught: unknown) => caught);
        return { error, tookMs: systemClock.now() - frozenAtMs };
      }),
    );
    const codes = new Set(ends.map(({ error }) => codeOf(error)));
    expect(
      [...codes].every(
        (code) => code === 'DATABASE_QUERY_TIMEOUT' || code === 'DATABASE_ACQUIRE_TIMEOUT',
      ),
    ).toBe(true);
    const slowestMs = Math.max(...ends.map(({ tookMs }) => tookMs));
    expect(slowestMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    await sleep(systemClock, Math.max(0, frozenAtMs + TIMEOUT_MS * 4 - systemClock.now()));
    await primary.thaw();
    const thawedAtMs = systemClock.now();
    const calls = Array.from({ length: CALLERS }, () =>
      database.query('select 1', [], { timeoutMs: 10_000, idempotent: true }),
    );
    await Promise.all(calls);
    const recoveredAfterMs = systemClock.now() - thawedAtMs;
    expect(recoveredAfterMs).toBeLessThan(SERVED_WITHIN_MS);
    return {
      accepted: CALLERS,
      delivered: calls.length,
      detectedAfterMs: slowestMs,
      lastedMs: thawedAtMs - frozenAtMs,
      recoveredAfterMs,
      note: `told by ${[...codes].join(' and ')}, the last one ${Math.round(slowestMs - TIMEOUT_MS)} ms after its deadline`,
    };
  },
);

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
}
