import { afterEach, expect, test } from '@jest/globals';
import type { SharedLimits } from '@holdfast/queue';
import {
  type SharingProcess,
  type SharingReport,
  runSharing,
} from '../../../src/consumers/sharing.ts';
import { AOF_NO_FSYNC, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 'limited';
const PROCESSES = 3;
const PER_SECOND = 20;
/** A tenth of a second's jobs may start at once. */
const BURST = 2;
const WINDOW_MS = 3_000;
/** Between leave and start, a busy machine may delay a process, so that starts of two windows meet in one. */
const LATE_MS = 500;
const MOST_RUNNING = 2;

const opened: RedisFixture[] = [];
const running: SharingProcess[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.kill()));
  for (const fixture of opened.splice(0)) await fixture.close();
});

interface Started {
  readonly fixture: RedisFixture;
  readonly processes: readonly SharingProcess[];
  readonly reports: () => SharingReport[];
}

/** Three processes with these limits, and jobs for them. */
async function startAll(
  limits: SharedLimits,
  { jobs, handlerMs = 0 }: { readonly jobs: number; readonly handlerMs?: number },
): Promise<Started> {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  opened.push(fixture);
  const queue = fixture.queue({ fallback: 'memory' });
  await queue.enqueueMany(
    TOPIC,
    Array.from({ length: jobs }, (_, payload) => ({ payload })),
  );
  const processes: SharingProcess[] = [];
  while (processes.length < PROCESSES) {
    const directory = await fixture.directory();
    const { url } = fixture.redis;
    processes.push(runSharing({ url, directory, topic: TOPIC, limits, handlerMs }));
  }
  running.push(...processes);
  return { fixture, processes, reports: () => processes.flatMap(({ reports }) => reports) };
}

function timesOf(reports: readonly SharingReport[], kind: 'started' | 'ended'): number[] {
  return reports
    .flatMap((said) => (said.kind === kind ? [said.atMs] : []))
    .toSorted((one, other) => one - other);
}

function startsOf(reports: readonly SharingReport[]): number {
  return timesOf(reports, 'started').length;
}

/** Restarts Redis after it has been away for longer than any lease. */
async function outage({ redis }: RedisFixture, reports: () => SharingReport[]): Promise<void> {
  await redis.kill();
  const before = startsOf(reports());
  const killedMs = performance.now();
  await waitUntil(async () => performance.now() - killedMs > 1_500);
  // Nothing starts without leave; what had it may have been on its way.
  expect(startsOf(reports()) - before).toBeLessThanOrEqual(PROCESSES * BURST);
  await redis.start();
}

test('three processes that share 20 jobs a second start 20 together, and no burst follows an outage', async () => {
  const jobs = 160;
  const { fixture, reports } = await startAll({ maxPerSecond: PER_SECOND }, { jobs });
  await waitUntil(async () => startsOf(reports()) >= jobs / 3);
  await outage(fixture, reports);
  await waitUntil(async () => startsOf(reports()) >= jobs);
  const started = timesOf(reports(), 'started');
  const most = started.map(
    (fromMs) => started.filter((atMs) => atMs >= fromMs && atMs < fromMs + WINDOW_MS).length,
  );
  const allowed = (PER_SECOND * (WINDOW_MS + LATE_MS)) / 1_000 + BURST;
  expect(Math.max(...most)).toBeLessThanOrEqual(allowed);
  expect(startsOf(reports())).toBe(jobs);
});

test('three processes that share two slots never run three jobs at once, also when Redis and one of them are killed', async () => {
  const jobs = 60;
  const limits = { maxRunning: MOST_RUNNING };
  const { fixture, processes, reports } = await startAll(limits, { jobs, handlerMs: 60 });
  await waitUntil(async () => startsOf(reports()) >= jobs / 3);
  await outage(fixture, reports);
  await waitUntil(async () => startsOf(reports()) >= jobs / 2);
  await processes[0]?.kill();
  await waitUntil(async () => {
    const ended = reports().flatMap((said) => (said.kind === 'ended' ? [said.id] : []));
    return new Set(ended).size === jobs;
  });
  expect(mostAtOnce(processes)).toBe(MOST_RUNNING);
});

/** The most jobs that ran at once; those that a process did not end do not count, because nobody knows when it died. */
function mostAtOnce(processes: readonly SharingProcess[]): number {
  const changes = processes.flatMap(({ reports }) => {
    const endedAt = new Map(
      reports.flatMap((said) => (said.kind === 'ended' ? [[said.id, said.atMs] as const] : [])),
    );
    return reports.flatMap((said) => {
      if (said.kind !== 'started') return [];
      const untilMs = endedAt.get(said.id);
      if (untilMs === undefined) return [];
      return [
        { atMs: said.atMs, by: 1 },
        { atMs: untilMs, by: -1 },
      ];
    });
  });
  let count = 0;
  let most = 0;
  for (const { by } of changes.toSorted((a, b) => a.atMs - b.atMs || a.by - b.by)) {
    count += by;
    most = Math.max(most, count);
  }
  return most;
}
