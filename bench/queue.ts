/**
 * Enqueueing and handling, beside BullMQ and a bare XADD on the same Redis. Jobs carry 200 bytes; Redis keeps
 * nothing, so that its disk is not what is measured. Needs the development dependency `bullmq`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue as BullQueue, Worker as BullWorker } from 'bullmq';
import { Redis } from 'ioredis';
import { type QueueOptions, createQueueAdapter } from '../packages/queue/src/index.ts';
import { openStage } from '../packages/stage/src/index.ts';
import { type Contender, type Measured, compare, table } from './measure.ts';

const PAYLOAD = { text: 'x'.repeat(190) };
const TOPIC = 'bench';
const ROUNDS = 3;
const ROUND_MS = 1_000;
const HANDLED_JOBS = 20_000;
const SERVED_JOBS = 20_000;
const CONCURRENCY = 50;

const stage = await openStage({ mode: 'local', redis: true });
const { url } = stage.redis;
const directories: string[] = [];
const closers: (() => Promise<unknown>)[] = [];

/** As BullMQ wants its clients. */
function connection(): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: null });
  closers.push(async () => client.disconnect());
  return client;
}

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  directories.push(directory);
  return directory;
}

/** One of ours; `settled` resolves once Redis has all that was enqueued. */
interface Own extends Contender {
  settled(): Promise<void>;
}

async function ours(name: string, options: Omit<QueueOptions, 'redis'>): Promise<Own> {
  const queue = createQueueAdapter({
    redis: { url },
    maxBacklogJobs: 100_000_000,
    maxBacklogBytes: 8 * 2 ** 30,
    ...options,
  });
  await queue.ready();
  closers.push(() => queue.close({ deadlineMs: 1 }).catch(() => undefined));
  return {
    name,
    run: () => queue.enqueue(TOPIC, PAYLOAD),
    async settled() {
      while (queue.getStats().backlog.jobs > 0) await new Promise((go) => setTimeout(go, 5));
    },
  };
}

/** Processor time that the server has used so far, in microseconds. */
async function serverMicroseconds(client: Redis): Promise<number> {
  const printed = await client.info('cpu');
  const seconds = (field: string): number =>
    Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(printed)?.[1]);
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1_000_000;
}

async function enqueueing(): Promise<void> {
  const raw = new Redis(url, { enableAutoPipelining: true });
  const bull = new BullQueue(TOPIC, { connection: connection() });
  closers.push(
    () => bull.close(),
    async () => raw.disconnect(),
  );
  const journal = async (): Promise<{ journal: { directory: string } }> => ({
    journal: { directory: await freshDirectory() },
  });
  const own = [
    await ours('ours: local, journal on disk', { acknowledge: 'local', fallback: await journal() }),
    await ours('ours: local, in memory', { acknowledge: 'local', fallback: 'memory' }),
    await ours('ours: redis', { acknowledge: 'redis', fallback: await journal() }),
  ];
  const contenders: Contender[] = [
    ...own,
    {
      name: 'bare XADD, auto-pipelined',
      run: () => raw.xadd('raw', '*', 'p', JSON.stringify(PAYLOAD)),
    },
    { name: 'BullMQ add', run: () => bull.add('job', PAYLOAD) },
  ];
  for (const inFlight of [1, 100]) {
    const measured = await compare(contenders, { inFlight, rounds: ROUNDS, roundMs: ROUND_MS });
    process.stdout.write(table(`enqueue, ${inFlight} in flight`, measured));
    process.stdout.write('\n');
  }
  for (const each of own) await each.settled();
  process.stdout.write(
    '| server, 100 in flight | CPU us per job | jobs/s until Redis has them |\n',
  );
  process.stdout.write('|---|---:|---:|\n');
  for (const contender of contenders) {
    const beforeUs = await serverMicroseconds(raw);
    const startedMs = performance.now();
    let left = SERVED_JOBS;
    const loop = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await contender.run();
      }
    };
    await Promise.all(Array.from({ length: 100 }, loop));
    await own.find((one) => one === contender)?.settled();
    const perSecond = (SERVED_JOBS / (performance.now() - startedMs)) * 1_000;
    const us = ((await serverMicroseconds(raw)) - beforeUs) / SERVED_JOBS;
    process.stdout.write(
      `| ${contender.name.padEnd(34)} | ${us.toFixed(1).padStart(6)} | ${perSecond.toFixed(0).padStart(8)} |\n`,
    );
  }
  process.stdout.write('\n');
}

/** How fast a backlog is worked off by one worker whose handler does nothing. */
async function handling(): Promise<void> {
  const measured: Measured[] = [];
  const count = (name: string, elapsedMs: number): void => {
    const perSecond = (HANDLED_JOBS / elapsedMs) * 1_000;
    measured.push({ name, perSecond, p50Ms: Number.NaN, p99Ms: Number.NaN });
  };

  const queue = createQueueAdapter({ redis: { url }, maxPendingJobs: HANDLED_JOBS });
  await queue.ready();
  await Promise.all(Array.from({ length: HANDLED_JOBS }, () => queue.enqueue('handled', PAYLOAD)));
  let startedMs = performance.now();
  await new Promise<void>((resolve) => {
    let handled = 0;
    const done = (): void => {
      handled += 1;
      if (handled === HANDLED_JOBS) resolve();
    };
    queue.process('handled', done, { concurrency: CONCURRENCY });
  });
  count('ours', performance.now() - startedMs);
  await queue.close();

  const bull = new BullQueue('handled', { connection: connection() });
  for (let from = 0; from < HANDLED_JOBS; from += 1_000) {
    await bull.addBulk(Array.from({ length: 1_000 }, () => ({ name: 'job', data: PAYLOAD })));
  }
  startedMs = performance.now();
  const worker = await new Promise<BullWorker>((resolve) => {
    let handled = 0;
    const started = new BullWorker('handled', async () => undefined, {
      connection: connection(),
      concurrency: CONCURRENCY,
    });
    started.on('completed', () => {
      handled += 1;
      if (handled === HANDLED_JOBS) resolve(started);
    });
  });
  count('BullMQ worker', performance.now() - startedMs);
  await worker.close();
  await bull.close();
  process.stdout.write(table(`handle, ${CONCURRENCY} at once`, measured));
}

try {
  await enqueueing();
  await handling();
} finally {
  for (const close of closers) await close();
  await stage.close();
  await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
}
