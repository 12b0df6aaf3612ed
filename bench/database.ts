/**
 * Queries, batches, and the way back after kill -9, beside pg.Pool and postgres.js on the same server, all in
 * turns in one run. Needs the development dependencies `pg` and `postgres`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'pg';
import postgres from 'postgres';
import { createDatabase } from '../packages/database/src/index.ts';
import { openStage } from '../packages/stage/src/index.ts';
import { type Contender, compare, table } from './measure.ts';

const MAX = 10;
const IN_FLIGHT = 100;
const ROUNDS = 5;
const ROUND_MS = 700;
const BATCH = 10;
const CALLERS = 20;
const DOWN_MS = 1_000;
const WATCHED_MS = 4_000;

const stage = await openStage({ mode: 'local', postgres: true });
const { primary } = stage.postgres;
const ours = createDatabase({
  hosts: primary.url,
  max: MAX,
  acquireTimeoutMs: 30_000,
  queryTimeoutMs: 30_000,
});
const pool = new Pool({ connectionString: primary.url, max: MAX });
// Without it the process ends with the first idle link that is lost.
pool.on('error', () => undefined);
const sql = postgres(primary.url, { max: MAX });

try {
  await throughput('select 1', [
    { name: 'holdfast', run: () => ours.query('select 1') },
    { name: 'pg.Pool', run: () => pool.query('select 1') },
    { name: 'postgres.js', run: () => sql.unsafe('select 1') },
  ]);
  await throughput('select $1::int', [
    { name: 'holdfast', run: () => ours.query('select $1::int', [1]) },
    { name: 'pg.Pool', run: () => pool.query('select $1::int', [1]) },
    { name: 'postgres.js', run: () => sql`select ${1}::int` },
  ]);
  const statements = Array.from({ length: BATCH }, () => ({ text: 'select 1' }));
  await throughput(`${BATCH} statements`, [
    { name: 'holdfast batch', run: () => ours.batch(statements) },
    {
      name: 'holdfast one by one',
      run: () => Promise.all(statements.map(({ text }) => ours.query(text))),
    },
    { name: 'pg.Pool', run: () => Promise.all(statements.map(({ text }) => pool.query(text))) },
    { name: 'postgres.js', run: () => Promise.all(statements.map(({ text }) => sql.unsafe(text))) },
  ]);
  const recoveries = [
    await recovery('holdfast', () => ours.query('select 1', [], { idempotent: true })),
    await recovery('pg.Pool', () => pool.query('select 1')),
    await recovery('postgres.js', () => sql.unsafe('select 1')),
  ];
  process.stdout.write(recoveryTable(recoveries));
} finally {
  await ours.end({ deadlineMs: 1_000 });
  await Promise.race([Promise.all([pool.end(), sql.end({ timeout: 1 })]), pause(2_000)]);
  await stage.close();
}
// Peers may still hold a link that they believe in.
process.exit();

async function throughput(title: string, contenders: readonly Contender[]): Promise<void> {
  const measured = await compare(contenders, {
    inFlight: IN_FLIGHT,
    rounds: ROUNDS,
    roundMs: ROUND_MS,
  });
  process.stdout.write(`${table(title, measured)}\n`);
}

interface Recovery {
  readonly name: string;
  readonly failed: number;
  /** When each caller was served first after the server accepted again, sorted. */
  readonly servedMs: readonly number[];
}

/** kill -9, a pause, start: how many calls fail, and when every caller is served again. */
async function recovery(name: string, query: () => Promise<unknown>): Promise<Recovery> {
  let failed = 0;
  let acceptedMs = Infinity;
  const stop = new AbortController();
  const servedMs: number[] = [];
  const caller = async (): Promise<void> => {
    let isServed = false;
    while (!stop.signal.aborted) {
      try {
        await query();
        if (!isServed && performance.now() >= acceptedMs) {
          isServed = true;
          servedMs.push(performance.now() - acceptedMs);
        }
      } catch {
        failed += 1;
      }
      await pause(10);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  await pause(300);
  await primary.kill();
  await pause(DOWN_MS);
  await primary.start();
  acceptedMs = performance.now();
  await pause(WATCHED_MS);
  stop.abort();
  await Promise.race([Promise.all(callers), pause(1_000)]);
  return { name, failed, servedMs: servedMs.toSorted((left, right) => left - right) };
}

function recoveryTable(recoveries: readonly Recovery[]): string {
  const rows = recoveries.map(({ name, failed, servedMs }) => {
    const at = (share: number): string =>
      `${Math.round(servedMs[Math.ceil(share * servedMs.length) - 1] ?? Number.NaN)} ms`;
    const stuck = CALLERS - servedMs.length;
    return `| ${name} | ${failed} | ${at(0.5)} | ${at(1)} | ${stuck} |`;
  });
  return [
    `| kill -9, ${DOWN_MS} ms down, ${CALLERS} callers | failed calls | half served | all served | stuck ${WATCHED_MS} ms later |`,
    '|---|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}
