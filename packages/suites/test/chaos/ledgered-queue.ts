import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FleetStorm, playFleetStorm } from '@holdfast/faults';
import { type Queue, createQueueAdapter } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import { openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { AOF_ALWAYS } from '../../src/redis-fixture.ts';

/** The results of a run, job by job. Jobs are named `<producer>:<number>`. */
export interface Balance {
  readonly accepted: number;
  /** Accepted jobs without an effect. */
  readonly missing: readonly string[];
  /** Effects with a lower number than an earlier effect of the same producer. */
  readonly outOfOrder: readonly string[];
  /** Handler runs beyond the first of each job. */
  readonly reruns: number;
  /** Time from the end of the storm to the last effect. */
  readonly settledAfterMs: number;
}

/** Handles one job, whose effect is the one row that `write` inserts. */
export type Effect = (write: () => Promise<unknown>, signal: AbortSignal) => Promise<void>;

const PRODUCERS = ['one', 'other'] as const;
const JOBS_PER_SECOND = 100;
const TICK_MS = 10;
const RETRY_MS = 50;
const SETTLED_WITHIN_MS = 60_000;
const TABLE = `create table effects (
  place bigserial, producer text, number integer, primary key (producer, number))`;
const INSERT = `insert into effects (producer, number) values ($1, $2)
  on conflict (producer, number) do nothing`;

/** Repeats the write until the effect is known to be stored; the primary key rejects a second row. */
export const untilWritten: Effect = async (write, signal) => {
  while (true) {
    try {
      await write();
      return;
    } catch {
      await sleep(systemClock, RETRY_MS, signal);
    }
  }
};

/**
 * Runs a stage of Redis and Postgres with a queue between them: two producers, each with its own journal, and
 * consumers that store their effects in Postgres, through a storm and then until the queue is idle.
 */
export async function runLedgeredQueue(storm: FleetStorm, effect: Effect): Promise<Balance> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    return await runWithClosers(storm, effect, (closer) => void closers.unshift(closer));
  } finally {
    for (const close of closers) await close();
  }
}

async function runWithClosers(
  storm: FleetStorm,
  effect: Effect,
  leaving: (close: () => Promise<unknown>) => void,
): Promise<Balance> {
  const stage = await openStage({
    mode: 'local',
    redis: { settings: AOF_ALWAYS },
    postgres: true,
  });
  leaving(() => stage.close());
  const { redis, postgres } = stage;
  const pool = new Pool({
    connectionString: postgres.primary.url,
    max: 4,
    connectionTimeoutMillis: 1_000,
    query_timeout: 1_000,
  });
  // The pool emits an error for each lost idle connection, and opens a new one.
  pool.on('error', () => {});
  leaving(() => pool.end());
  await pool.query(TABLE);

  const openQueue = async (): Promise<Queue> => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-chaos-'));
    leaving(() => rm(directory, { recursive: true, force: true }));
    const queue = createQueueAdapter({
      redis: { url: redis.url },
      fallback: { journal: { directory } },
      commandTimeoutMs: 500,
    });
    leaving(() => queue.close({ deadlineMs: 2_000 }).catch(() => undefined));
    await queue.ready();
    return queue;
  };
  const consumers = await openQueue();
  const producers = await Promise.all(PRODUCERS.map(() => openQueue()));

  let runs = 0;
  for (const producer of PRODUCERS) {
    const handle = async (number: number, signal: AbortSignal): Promise<void> => {
      runs += 1;
      await effect(() => pool.query(INSERT, [producer, number]), signal);
    };
    consumers.process(producer, ({ payload }, { signal }) => handle(Number(payload), signal), {
      concurrency: 1,
      leaseMs: 5_000,
    });
  }
  const accepted = new Set<string>();
  const stopping = new AbortController();
  const producing = PRODUCERS.map((producer, index) =>
    offer(producers[index], producer, stopping.signal, (number) =>
      accepted.add(`${producer}:${number}`),
    ),
  );
  try {
    await playFleetStorm({ redis, postgres: postgres.primary }, storm);
  } finally {
    stopping.abort();
    await Promise.allSettled(producing);
  }
  await Promise.all(producing);

  const overMs = systemClock.now();
  const isHandled = async (): Promise<boolean> =>
    producers.every((queue) => queue.getStats().backlog.jobs === 0) && isEmpty(redis.url);
  while (!(await isHandled()) && systemClock.now() - overMs < SETTLED_WITHIN_MS) {
    await sleep(systemClock, RETRY_MS);
  }
  const { rows } = await pool.query<{ producer: string; number: number }>(
    'select producer, number from effects order by place',
  );
  const there = new Set(rows.map(({ producer, number }) => `${producer}:${number}`));
  return {
    accepted: accepted.size,
    missing: [...accepted].filter((key) => !there.has(key)),
    outOfOrder: disorder(rows),
    reruns: runs - there.size,
    settledAfterMs: systemClock.now() - overMs,
  };
}

/** Offers numbered jobs at a steady rate, without waiting for earlier ones. */
async function offer(
  queue: Queue | undefined,
  topic: string,
  signal: AbortSignal,
  onAccepted: (number: number) => void,
): Promise<void> {
  const beganMs = systemClock.now();
  const offers: Promise<void>[] = [];
  const enqueue = async (number: number): Promise<void> => {
    if (queue === undefined) return;
    await queue.enqueue(topic, number);
    onAccepted(number);
  };
  let next = 1;
  while (!signal.aborted) {
    const due = ((systemClock.now() - beganMs) / 1_000) * JOBS_PER_SECOND;
    for (; next <= due; next += 1) offers.push(enqueue(next));
    await sleep(systemClock, TICK_MS, signal).catch(() => undefined);
  }
  await Promise.all(offers);
}

/** Whether Redis holds no jobs of any producer. */
async function isEmpty(url: string): Promise<boolean> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const lengths = PRODUCERS.map((producer) => client.xlen(`holdfast:{${producer}}:jobs`));
    return (await Promise.all(lengths)).every((length) => length === 0);
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

function disorder(rows: readonly { producer: string; number: number }[]): string[] {
  const highest = new Map<string, number>();
  return rows.flatMap(({ producer, number }) => {
    const before = highest.get(producer) ?? 0;
    highest.set(producer, Math.max(before, number));
    return number < before ? [`${producer}:${number}`] : [];
  });
}
