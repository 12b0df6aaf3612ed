import { afterEach, expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { BackendError, type ProcessOptions } from '../../src/index.ts';
import { TakeoverGuard } from '../../src/consumer/takeover-guard.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const LEASE_MS = 30_000;
const CONSUMERS = 3;
/** The last consumer has free slots, which it would fill with the jobs of the others. */
const JOBS = 24;

const opened: TestQueue[] = [];

afterEach(async () => {
  const closing = opened.splice(0).map(({ queue, clock }) => clock.settle(queue.close()));
  await Promise.all(closing);
});

interface Consumers {
  readonly all: readonly TestQueue[];
  /** How often each job was started. */
  readonly runs: Map<unknown, number>;
  readonly advance: (seconds: number) => Promise<void>;
}

/** Several consumers on one server, each in the middle of jobs that take `jobMs`. */
async function start(jobMs: number): Promise<Consumers> {
  const clock = createFakeClock();
  const server = new FakeBackend(undefined, clock);
  const runs = new Map<unknown, number>();
  const all = Array.from({ length: CONSUMERS }, () => openTestQueue({ clock }, server, clock));
  opened.push(...all);
  for (const { backend } of all) backend.up();
  await Promise.all(all.map(({ queue }) => queue.ready()));
  const jobs = Array.from({ length: JOBS }, (_, payload) => ({ payload }));
  for (const { queue } of all.slice(0, 1)) await clock.settle(queue.enqueueMany('t', jobs));
  for (const { queue } of all) {
    queue.process(
      't',
      async ({ payload }) => {
        runs.set(payload, (runs.get(payload) ?? 0) + 1);
        await sleep(clock, jobMs);
      },
      { leaseMs: LEASE_MS },
    );
  }
  const advance = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) await clock.advance(1_000);
  };
  await advance(2);
  return { all, runs, advance };
}

test.each([1, 10, 25, 31, 45, 60, 120, 600])(
  'after an outage of %i s with three consumers and nobody dead, no job is started twice',
  async (seconds) => {
    const { all, runs, advance } = await start((seconds + 20) * 1_000);
    for (const { backend } of all) backend.down();
    await advance(seconds);
    for (const { backend } of all.toReversed()) {
      backend.up();
      await advance(3);
    }
    await advance(3 * (seconds + 60));
    expect([...runs.values()].filter((times) => times > 1)).toEqual([]);
    expect(runs.size).toBe(JOBS);
  },
);

test('outages that follow each other at once start no job twice', async () => {
  const { all, runs, advance } = await start(200_000);
  for (let round = 0; round < 4; round += 1) {
    for (const { backend } of all) backend.down();
    await advance(40);
    for (const { backend } of all.toReversed()) {
      backend.up();
      await advance(1);
    }
  }
  await advance(700);
  expect([...runs.values()].filter((times) => times > 1)).toEqual([]);
  expect(runs.size).toBe(JOBS);
});

test('the jobs of a consumer that died in the outage are taken over one lease after it', async () => {
  const { all, runs, advance } = await start(100_000);
  for (const { backend } of all) backend.down();
  await advance(60);
  const [dead, ...living] = all;
  for (const { backend } of living) backend.up();
  await advance(LEASE_MS / 1_000 - 3);
  expect([...runs.values()].filter((times) => times > 1)).toEqual([]);
  await advance(300);
  expect([...runs.values()].filter((times) => times > 1)).toHaveLength(10);
  dead?.backend.up();
});

/** Two consumers on one server, and how often each of them has started which job. */
async function startPair(
  handle: (payload: unknown, runs: readonly string[], clock: FakeClock) => Promise<void>,
  options: ProcessOptions,
  payloads: readonly string[],
  /** Why the owner's store cannot put failed jobs aside. */
  refusal?: string,
): Promise<{
  readonly clock: FakeClock;
  readonly runs: string[];
  readonly owner: FakeBackend;
  readonly advance: (seconds: number) => Promise<void>;
}> {
  const clock = createFakeClock();
  const server = new FakeBackend(undefined, clock);
  const runs: string[] = [];
  const pair = ['owner', 'other'].map((name) => ({
    name,
    opened: openTestQueue({ clock }, server, clock),
  }));
  const advance = async (seconds: number): Promise<void> => {
    for (let step = 0; step < seconds; step += 1) await clock.advance(1_000);
  };
  for (const { name, opened: it } of pair) {
    opened.push(it);
    it.backend.up();
    if (refusal !== undefined) it.backend.refuseSettling(new BackendError('busy', refusal));
    await it.queue.ready();
    const jobs = payloads.map((payload) => ({ payload }));
    if (name === 'owner') await clock.settle(it.queue.enqueueMany('t', jobs));
    it.queue.process(
      't',
      async ({ payload }) => {
        runs.push(`${String(payload)} by the ${name}`);
        await handle(payload, runs, clock);
      },
      { leaseMs: LEASE_MS, ...options },
    );
    await advance(2);
  }
  const [first] = pair;
  if (first === undefined) throw new Error('there is no owner');
  return { runs, owner: first.opened.backend, advance, clock };
}

const forever = (): Promise<void> => new Promise(() => undefined);

test('a consumer that is cut off alone for seven tenths of its lease keeps its jobs, whenever it renewed them last', async () => {
  for (let phase = 0; phase < 10; phase += 1) {
    const { runs, owner, advance } = await startPair(forever, { concurrency: 1 }, ['a']);
    await advance(phase);
    owner.down();
    await advance((0.7 * LEASE_MS) / 1_000);
    owner.up();
    await advance((3 * LEASE_MS) / 1_000);
    expect(runs).toEqual(['a by the owner']);
  }
});

test.each([
  ['that blocks its slot', 'block' as const],
  ['that waits', 'dead-letter' as const],
])(
  'a consumer that was cut off for its lease does not try a failed job again %s: another one has it',
  async (_, whenExhausted) => {
    const fail = async (payload: unknown, { length }: readonly string[]): Promise<void> => {
      if (length === 1) throw new Error(`${String(payload)}: not yet`);
      await forever();
    };
    const options = { whenExhausted, retryDelayMs: 40_000 };
    const { runs, owner, advance } = await startPair(fail, options, ['a'], 'the store is full');
    owner.down();
    await advance(60);
    owner.up();
    await advance(120);
    expect(runs).toEqual(['a by the owner', 'a by the other']);
  },
);

test('a consumer that was cut off for its lease starts no job that waits for a slot', async () => {
  const handle = async (
    payload: unknown,
    { length }: readonly string[],
    clock: FakeClock,
  ): Promise<void> => {
    if (length === 1) throw new Error('not yet');
    await (payload === 'b' && length === 2 ? sleep(clock, 45_000) : forever());
  };
  const options = { concurrency: 1, retryDelayMs: 5_000 };
  const { runs, owner, advance } = await startPair(handle, options, ['a', 'b'], 'it is full');
  await advance(10);
  expect(runs).toEqual(['a by the owner', 'b by the owner']);
  owner.down();
  await advance(60);
  owner.up();
  await advance(60);
  expect(runs.filter((run) => run === 'a by the owner')).toHaveLength(1);
});

test('a consumer without an answer for half a lease, as after a stop of its process, takes nothing over for a lease', () => {
  const guard = new TakeoverGuard(LEASE_MS);
  expect(guard.mayTakeOver(0)).toBe(true);
  for (let nowMs = 0; nowMs <= 2 * LEASE_MS; nowMs += 5_000) guard.answered(nowMs, nowMs);
  expect(guard.mayTakeOver(2 * LEASE_MS + LEASE_MS / 2)).toBe(true);
  const resumedMs = 3 * LEASE_MS;
  expect(guard.mayTakeOver(resumedMs)).toBe(false);
  guard.answered(resumedMs, resumedMs);
  for (let afterMs = 0; afterMs < LEASE_MS; afterMs += 5_000) {
    expect(guard.mayTakeOver(resumedMs + afterMs)).toBe(false);
    guard.answered(resumedMs + afterMs, resumedMs + afterMs);
  }
  expect(guard.mayTakeOver(resumedMs + LEASE_MS)).toBe(true);
});
