/**
 * Measures enqueueing and handling, next to BullMQ and a bare XADD on the same Redis, alternating in one run. Jobs
 * carry 200 bytes; Redis has no persistence, which excludes the disk. Needs the development dependency `bullmq`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue as BullQueue, Worker as BullWorker } from 'bullmq';
import { Redis } from 'ioredis';
import { type QueueOptions, createQueueAdapter } from '@holdfast/queue';
import { openStage } from '@holdfast/stage';
import { type Contender, type Round, inTurns, roundsTable } from './measuring/rounds.ts';

const PAYLOAD = { text: 'x'.repeat(190) };
const TOPIC = 'bench';
/** Odd, so that the median is a measured round. */
const ROUNDS = 9;
const ROUND_MS = 400;
const HANDLED_JOBS = 20_000;
const CONCURRENCY = 50;
/** One warm-up round of each. */
const WARM_UP_ROUNDS = 1;

const stage = await openStage({ mode: 'local', redis: true });
// Without the stage's proxy, which would add to this process's CPU time.
const { url } = stage.redis.direct;
const closers: (() => Promise<unknown>)[] = [];
const server = new Redis(url);

/** A client with the options that BullMQ requires. */
function connection(): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: null });
  closers.push(async () => client.disconnect());
  return client;
}

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  closers.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** The CPU time that the server has used so far, in microseconds. */
async function serverMicroseconds(): Promise<number> {
  const printed = await server.info('cpu');
  const seconds = (field: string): number =>
    Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(printed)?.[1]);
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1_000_000;
}

/** Measures the work, which returns its number of operations and, if known, their durations. */
async function measured(
  work: () => Promise<{ operations: number; tookMs: number; latenciesMs: readonly number[] }>,
): Promise<Round> {
  const serverUs = await serverMicroseconds();
  const cpu = process.cpuUsage();
  const { operations, tookMs, latenciesMs } = await work();
  const { user, system } = process.cpuUsage(cpu);
  const sorted = latenciesMs.toSorted((left, right) => left - right);
  return {
    perSecond: (operations / tookMs) * 1_000,
    cpuUs: (user + system) / operations,
    serverUs: ((await serverMicroseconds()) - serverUs) / operations,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? Number.NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
  };
}

/** A method of enqueueing. */
interface Enqueuing {
  readonly name: string;
  readonly run: () => Promise<unknown>;
  /** Resolves once Redis has all enqueued jobs; its CPU time counts, its duration does not. */
  readonly settled?: () => Promise<void>;
  /** The Redis stream that holds the jobs of a round. */
  readonly leaves?: string;
}

async function ours(name: string, options: Omit<QueueOptions, 'redis'>): Promise<Enqueuing> {
  const prefix = name.replaceAll(/\W/g, '');
  const queue = createQueueAdapter({
    redis: { url },
    prefix,
    maxBacklogJobs: 100_000_000,
    maxBacklogBytes: 8 * 2 ** 30,
    ...options,
  });
  await queue.ready();
  closers.push(() => queue.close({ deadlineMs: 1 }).catch(() => undefined));
  return {
    name: `ours: ${name}`,
    run: () => queue.enqueue(TOPIC, PAYLOAD),
    async settled() {
      while (queue.getStats().backlog.jobs > 0) await new Promise((go) => setTimeout(go, 1));
    },
    leaves: `${prefix}:{${TOPIC}}:jobs`,
  };
}

function enqueuingRound({ run, settled, leaves }: Enqueuing, inFlight: number): Promise<Round> {
  return measured(async () => {
    const latenciesMs: number[] = [];
    const startMs = performance.now();
    const loop = async (): Promise<void> => {
      let beganMs = performance.now();
      while (beganMs < startMs + ROUND_MS) {
        await run();
        const endMs = performance.now();
        latenciesMs.push(endMs - beganMs);
        beganMs = endMs;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, loop));
    const tookMs = performance.now() - startMs;
    await settled?.();
    if (leaves !== undefined) await server.unlink(leaves);
    return { operations: latenciesMs.length, tookMs, latenciesMs };
  });
}

async function enqueueing(): Promise<void> {
  const raw = new Redis(url, { enableAutoPipelining: true });
  const bull = new BullQueue(TOPIC, { connection: connection() });
  closers.push(
    () => bull.close(),
    async () => raw.disconnect(),
  );
  const onDisk = async (): Promise<{ journal: { directory: string } }> => ({
    journal: { directory: await freshDirectory() },
  });
  const ways: Enqueuing[] = [
    await ours('local, journal', { acknowledge: 'local', fallback: await onDisk() }),
    await ours('local, in memory', { acknowledge: 'local', fallback: 'memory' }),
    await ours('redis', { acknowledge: 'redis', fallback: await onDisk() }),
    {
      name: 'bare XADD, auto-pipelined',
      run: () => raw.xadd('raw', '*', 'p', JSON.stringify(PAYLOAD)),
      leaves: 'raw',
    },
    { name: 'BullMQ', run: () => bull.add('job', PAYLOAD) },
  ];
  for (const inFlight of [1, 100]) {
    const contenders = ways.map((way) => ({
      name: way.name,
      round: () => enqueuingRound(way, inFlight),
    }));
    await print(`enqueue, ${inFlight} in flight`, contenders);
  }
}

/** Measures how fast one worker with an empty handler processes a backlog. */
async function handling(): Promise<void> {
  const queue = createQueueAdapter({ redis: { url }, maxPendingJobs: HANDLED_JOBS });
  await queue.ready();
  const bull = new BullQueue('handled', { connection: connection() });
  closers.push(
    () => queue.close(),
    () => bull.close(),
  );
  const ourRound = async (): Promise<Round> => {
    await Promise.all(
      Array.from({ length: HANDLED_JOBS }, () => queue.enqueue('handled', PAYLOAD)),
    );
    let stop = async (): Promise<void> => undefined;
    const round = await handled(async (done) => {
      const consumer = queue.process('handled', done, { concurrency: CONCURRENCY });
      stop = () => consumer.close();
    });
    await stop();
    return round;
  };
  const theirRound = async (): Promise<Round> => {
    for (let from = 0; from < HANDLED_JOBS; from += 1_000) {
      await bull.addBulk(Array.from({ length: 1_000 }, () => ({ name: 'job', data: PAYLOAD })));
    }
    const client = connection();
    let stop = async (): Promise<void> => undefined;
    const round = await handled(async (done) => {
      const worker = new BullWorker('handled', async () => undefined, {
        connection: client,
        concurrency: CONCURRENCY,
      });
      worker.on('completed', done);
      stop = () => worker.close();
    });
    await stop();
    return round;
  };
  await print(`handle, ${CONCURRENCY} at once`, [
    { name: 'ours', round: ourRound },
    { name: 'BullMQ', round: theirRound },
  ]);
}

/** @param start starts handling, and calls `done` for each job. */
function handled(start: (done: () => void) => Promise<void>): Promise<Round> {
  return measured(async () => {
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      let count = 0;
      void start(() => {
        count += 1;
        if (count === HANDLED_JOBS) resolve();
      });
    });
    const tookMs = performance.now() - startMs;
    return { operations: HANDLED_JOBS, tookMs, latenciesMs: [] };
  });
}

async function print(title: string, contenders: readonly Contender[]): Promise<void> {
  await inTurns(contenders, WARM_UP_ROUNDS);
  const results = await inTurns(contenders, ROUNDS);
  process.stdout.write(`${roundsTable(title, contenders, results)}\n`);
}

try {
  await enqueueing();
  await handling();
} finally {
  for (const close of closers.toReversed()) await close();
  server.disconnect();
  await stage.close();
}
