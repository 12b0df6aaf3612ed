import { afterEach, expect, test } from '@jest/globals';
import { type Random, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import { type Database, DatabaseError } from '../src/index.ts';
import { Opened } from './open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const SEEDS = Array.from({ length: 12 }, (_, at) => 20_261_122 + at);
const MAX = 3;
const STEPS = 25;
/** Deadlines are met to a few milliseconds; a loaded machine is given a second. */
const SLACK_MS = 1_000;

function pick<T>(random: Random, choices: readonly T[]): T {
  const chosen = choices[Math.floor(random() * choices.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}

type Fault = (server: FakePostgres) => unknown;

const faults: readonly Fault[] = [
  (server) => server.drop(),
  (server) => server.drop({ ending: 'fin' }),
  (server) => server.terminate(),
  (server) => server.terminate({ sqlState: '57P02' }),
  (server) => server.setBehavior({ frozen: true }),
  (server) => server.setBehavior({ frozen: false }),
  (server) => server.setBehavior({ reception: 'fin' }),
  (server) => server.setBehavior({ reception: 'reset' }),
  (server) => server.setBehavior({ reception: 'silent' }),
  (server) => server.setBehavior({ reception: { error: '57P03' } }),
  (server) => server.setBehavior({ reception: 'serve' }),
  (server) => server.setBehavior({ maxConnections: 1 }),
  (server) => server.setBehavior({ maxConnections: 100 }),
  (server) => server.setBehavior({ cancels: false }),
  (server) => server.setBehavior({ cancels: true }),
];

const calls: readonly ((db: Database, timeoutMs: number) => Promise<unknown>)[] = [
  (db, timeoutMs) => db.query('select 1', [], { timeoutMs }),
  (db, timeoutMs) => db.query('select 1', [], { timeoutMs, idempotent: true }),
  (db, timeoutMs) => db.query('select slow()', [], { timeoutMs }),
  (db, timeoutMs) => db.query('insert into t values ($1)', ['x'], { timeoutMs }),
  (db, timeoutMs) => db.query('cut', [], { timeoutMs }),
  (db, timeoutMs) => db.batch([{ text: 'select 1' }, { text: 'select 2' }], { timeoutMs }),
  (db, timeoutMs) => db.transaction((tx) => tx.query('select 1'), { timeoutMs }),
  (db, timeoutMs) => db.transaction((tx) => tx.query('select slow()'), { timeoutMs }),
  (db, timeoutMs) => db.read('any', (reader) => reader.query('select 1'), { timeoutMs }),
  (db, timeoutMs) => db.query('select slow()', [], { signal: soonAborted(timeoutMs) }),
];

function soonAborted(timeoutMs: number): AbortSignal {
  const abort = new AbortController();
  systemClock.schedule(timeoutMs, () => abort.abort(new Error('no longer wanted')));
  return abort.signal;
}

test.each(SEEDS)(
  'under the random faults of seed %i every call settles by its deadline',
  async (seed) => {
    const random = seededRandom(seed);
    const { db, server } = await opened.database({
      max: MAX,
      connectTimeoutMs: 60,
      cancelGraceMs: 40,
      validationTimeoutMs: 40,
      queryTimeoutMs: 2_000,
      reconnect: { initialDelayMs: 2, maxDelayMs: 10 },
    });
    server.reply('select slow()', 'never');
    server.reply(/^insert/, { command: 'INSERT 0 1' });
    server.reply('cut', { rows: [{ n: 1 }], cutAfterBytes: Math.floor(random() * 40) });
    const late: string[] = [];
    const strange: unknown[] = [];
    const settled: Promise<void>[] = [];
    const start = (): void => {
      const timeoutMs = 10 + Math.floor(random() * 100);
      const call = pick(random, calls);
      const beganMs = systemClock.now();
      const settle = (async () => {
        try {
          await call(db, timeoutMs);
        } catch (error) {
          const isKnown =
            error instanceof DatabaseError || String(error).includes('no longer wanted');
          if (!isKnown) strange.push(error);
        }
        const tookMs = systemClock.now() - beganMs;
        if (tookMs > timeoutMs + SLACK_MS)
          late.push(`${String(call)}: ${tookMs} of ${timeoutMs} ms`);
      })();
      settled.push(settle);
    };
    for (let step = 0; step < STEPS; step += 1) {
      if (random() < 0.5) pick(random, faults)(server);
      for (let many = Math.floor(random() * 4); many >= 0; many -= 1) start();
      const stats = db.getStats().hosts[0];
      expect(stats?.total).toBeLessThanOrEqual(MAX);
      await sleep(systemClock, random() * 8);
    }
    await Promise.all(settled);
    expect({ late, strange }).toEqual({ late: [], strange: [] });

    server.setBehavior({ frozen: false, reception: 'serve', maxConnections: 100, cancels: true });
    const healed = await db.query('select 1 as one', [], { idempotent: true, timeoutMs: 10_000 });
    expect(healed.rows).toEqual([{ one: 1 }]);
    await db.close({ deadlineMs: 500 });
    expect(db.getStats().hosts[0]).toMatchObject({ total: 0, waiting: 0 });
  },
);
