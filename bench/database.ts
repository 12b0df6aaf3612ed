/**
 * Queries, batches, and the way back after kill -9, beside pg.Pool and postgres.js on the same server, all in
 * turns in one run. Needs the development dependencies `pg` and `postgres`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'pg';
import postgres from 'postgres';
import { type Database, createDatabase } from '../packages/database/src/index.ts';
import { openStage } from '../packages/stage/src/index.ts';

const MAX = 10;
const IN_FLIGHT = 100;
/** Odd, so that the median is a round that was measured. */
const ROUNDS = 15;
const ROUND_QUERIES = 4_000;
const WARM_UP_QUERIES = 2_000;
const BATCH = 10;
const CALLERS = 20;
const DOWN_MS = 1_000;
const WATCHED_MS = 4_000;

const stage = await openStage({ mode: 'local', postgres: true });
const { primary } = stage.postgres;
// Rates are taken without the stage's proxy, which would be a part of this process and of its CPU time.
const straight = new URL(primary.url);
straight.hostname = primary.direct.host;
straight.port = String(primary.direct.port);

try {
  await withPeers(straight.href, async ({ ours, pool, sql }) => {
    await throughput('select 1', ROUND_QUERIES, [
      { name: 'holdfast', run: () => ours.query('select 1') },
      { name: 'pg.Pool', run: () => pool.query('select 1') },
      { name: 'postgres.js', run: () => sql.unsafe('select 1') },
    ]);
    await throughput('select $1::int', ROUND_QUERIES, [
      { name: 'holdfast', run: () => ours.query('select $1::int', [1]) },
      { name: 'pg.Pool', run: () => pool.query('select $1::int', [1]) },
      { name: 'postgres.js', run: () => sql`select ${1}::int` },
    ]);
    const statements = Array.from({ length: BATCH }, () => ({ text: 'select 1' }));
    const texts = statements.map(({ text }) => text);
    await throughput(`${BATCH} statements`, ROUND_QUERIES / BATCH, [
      { name: 'holdfast batch', run: () => ours.batch(statements) },
      {
        name: 'holdfast one by one',
        run: () => Promise.all(texts.map((text) => ours.query(text))),
      },
      { name: 'pg.Pool', run: () => Promise.all(texts.map((text) => pool.query(text))) },
      { name: 'postgres.js', run: () => Promise.all(texts.map((text) => sql.unsafe(text))) },
    ]);
  });
  await withPeers(primary.url, async ({ ours, pool, sql }) => {
    const recoveries = [
      await recovery('holdfast', () => ours.query('select 1', [], { idempotent: true })),
      await recovery('pg.Pool', () => pool.query('select 1')),
      await recovery('postgres.js', () => sql.unsafe('select 1')),
    ];
    process.stdout.write(recoveryTable(recoveries));
  });
} finally {
  await stage.close();
}
// Peers may still hold a link that they believe in.
process.exit();

interface Peers {
  readonly ours: Database;
  readonly pool: Pool;
  readonly sql: postgres.Sql;
}

async function withPeers(url: string, work: (peers: Peers) => Promise<void>): Promise<void> {
  const bounds = { acquireTimeoutMs: 30_000, queryTimeoutMs: 30_000 };
  const ours = createDatabase({ hosts: url, max: MAX, ...bounds });
  const pool = new Pool({ connectionString: url, max: MAX });
  // Without it the process ends with the first idle link that is lost.
  pool.on('error', () => undefined);
  const sql = postgres(url, { max: MAX });
  try {
    await work({ ours, pool, sql });
  } finally {
    await ours.end({ deadlineMs: 1_000 });
    await Promise.race([Promise.all([pool.end(), sql.end({ timeout: 1 })]), pause(2_000)]);
  }
}

interface Contender {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

interface Round {
  readonly perSecond: number;
  /** User and system time of this process for one operation. */
  readonly cpuUs: number;
}

/**
 * Everybody plays each round, in turns of who begins. What is compared is the first one's round with the
 * others' of the same moment, because a busy machine changes from round to round more than they differ.
 */
async function throughput(
  title: string,
  operations: number,
  contenders: readonly Contender[],
): Promise<void> {
  for (const contender of contenders) {
    await played(contender, Math.ceil((operations * WARM_UP_QUERIES) / ROUND_QUERIES));
  }
  const rounds: ReadonlyMap<string, Round>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const begins = round % contenders.length;
    const order = [...contenders.slice(begins), ...contenders.slice(0, begins)];
    // With three the one behind would always be the same one.
    if (round % 2 === 1) order.reverse();
    const results = new Map<string, Round>();
    for (const contender of order) results.set(contender.name, await played(contender, operations));
    rounds.push(results);
  }
  process.stdout.write(`${rateTable(title, contenders, rounds)}\n`);
}

async function played({ run }: Contender, operations: number): Promise<Round> {
  let left = operations;
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await run();
    }
  };
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  const { user, system } = process.cpuUsage(startCpu);
  const perSecond = (operations / (performance.now() - startMs)) * 1_000;
  return { perSecond, cpuUs: (user + system) / operations };
}

function rateTable(
  title: string,
  contenders: readonly Contender[],
  rounds: readonly ReadonlyMap<string, Round>[],
): string {
  const measured = (name: string, read: (round: Round) => number): number[] =>
    rounds.map((round) => {
      const found = round.get(name);
      return found === undefined ? Number.NaN : read(found);
    });
  const rateOf = ({ perSecond }: Round): number => perSecond;
  const cpuOf = ({ cpuUs }: Round): number => cpuUs;
  const first = contenders[0]?.name ?? '';
  const rows = contenders.map(({ name }) => {
    const ratios = (read: (round: Round) => number): number[] => {
      const theirs = measured(name, read);
      return measured(first, read).map((value, at) => value / (theirs[at] ?? Number.NaN));
    };
    const [low, middle, high] = quartiles(ratios(rateOf));
    const [, perSecond] = quartiles(measured(name, rateOf));
    const [, cpuUs] = quartiles(measured(name, cpuOf));
    const [, cpu] = quartiles(ratios(cpuOf));
    const spread = `${low.toFixed(2)} to ${high.toFixed(2)}`;
    return `| ${name} | ${Math.round(perSecond)} | ${middle.toFixed(2)}x | ${spread} | ${cpuUs.toFixed(1)} | ${cpu.toFixed(2)}x |`;
  });
  return [
    `| ${title} | per second | ${first} / this | middle half | CPU µs each | CPU ${first} / this |`,
    '|---|---:|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}

function quartiles(values: readonly number[]): readonly [number, number, number] {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
  return [at(0.25), at(0.5), at(0.75)];
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
