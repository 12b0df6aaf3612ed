import { expect } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { type PostgresFixture, openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import {
  DOWNTIME_MS,
  CALLERS,
  SERVED_WITHIN_MS,
  runDatabaseOutage,
} from '../../src/database/outage.ts';
import { scenario } from '../../src/database/scenario.ts';

scenario(
  {
    promise: 'no idempotent call fails when Postgres is killed under load',
    fault: `kill -9, start after ${DOWNTIME_MS} ms, ${CALLERS} callers`,
    inContainers: true,
  },
  openPostgresFixture,
  (fixture) =>
    runDatabaseOutage(fixture, {
      inject: ({ primary }) => primary.kill(),
      recover: ({ primary }) => primary.start(),
    }),
);

scenario(
  {
    promise: 'no idempotent call fails when Postgres is shut down under load',
    fault: `fast shutdown, start after ${DOWNTIME_MS} ms, ${CALLERS} callers`,
  },
  openPostgresFixture,
  (fixture) =>
    runDatabaseOutage(fixture, {
      inject: ({ primary }) => primary.stop(),
      recover: ({ primary }) => primary.start(),
    }),
);

scenario(
  {
    promise: 'no idempotent call fails when the crash of one backend ends all sessions',
    fault: `SIGSEGV to one backend, ${CALLERS} callers`,
    inContainers: true,
  },
  openPostgresFixture,
  (fixture) =>
    runDatabaseOutage(fixture, {
      inject: async ({ ask }) => {
        const [row] = await ask(
          `select pid from pg_stat_activity where application_name = 'holdfast' limit 1`,
        );
        // Postgres signals its own process: that works in every mode of the stage.
        const crash = `copy (select) to program 'kill -SEGV ${Number(row?.['pid'])}'`;
        // The session that sends the signal ends with the others, before or after its answer.
        await ask(crash).catch(() => undefined);
      },
      // The server restarts by itself.
      recover: async () => undefined,
    }),
);

const ROWS = 300_000;

scenario(
  {
    promise: 'callers wait while Postgres replays its log, and no call fails with 57P03',
    fault: `kill -9 with ${ROWS} rows to replay, ${CALLERS} callers`,
    inContainers: true,
  },
  () => openPostgresFixture({ settings: { checkpoint_timeout: '1h', max_wal_size: '1GB' } }),
  async (fixture) => {
    await fixture.ask('create table ballast (row int, filler text)');
    await fixture.ask(
      `insert into ballast select row, repeat('x', 60) from generate_series(1, ${ROWS}) row`,
    );
    const refusals: string[] = [];
    const seen = (database: ReturnType<PostgresFixture['database']>): void => {
      database.on('connect-failed', ({ error }) => refusals.push(error));
    };
    const watched: PostgresFixture = {
      ...fixture,
      database(options) {
        const database = fixture.database(options);
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
/** The tolerance of a deadline on a busy machine, in milliseconds; the documented one is 50. */
const SLACK_MS = 2_000;

scenario(
  {
    promise: 'calls to a frozen Postgres fail at their deadline, and succeed again once it resumes',
    fault: `SIGSTOP for 2 s, ${CALLERS} callers with ${TIMEOUT_MS} ms each`,
    inContainers: true,
  },
  openPostgresFixture,
  async (fixture) => {
    const { primary } = fixture;
    const database = fixture.database({ max: LINKS, queryTimeoutMs: TIMEOUT_MS });
    // A server process that is forked while the others are being stopped would still answer.
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
      note: `failed with ${[...codes].join(' and ')}, the last one ${Math.round(slowestMs - TIMEOUT_MS)} ms after its deadline`,
    };
  },
);

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
}
