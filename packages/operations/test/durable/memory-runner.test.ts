import { afterEach, describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type MemoryRunner,
  type MemoryRunnerOptions,
  MemoryRunStore,
  type RunFunctions,
  createMemoryRunner,
} from '@holdfast/operations';
import { honoursDurableContract } from '@holdfast/operations/durable-contract';

describe('a runner in memory', () => {
  const stores = new Map<string | undefined, MemoryRunStore>();
  honoursDurableContract(async (functions) => {
    const { currentTestName } = expect.getState();
    const store = stores.get(currentTestName) ?? new MemoryRunStore();
    stores.set(currentTestName, store);
    return createMemoryRunner({ functions, store });
  });
});

let toClose: MemoryRunner<RunFunctions>[] = [];
afterEach(async () => {
  for (const runner of toClose) await runner.close();
  toClose = [];
});

function opened(options: MemoryRunnerOptions<RunFunctions>): MemoryRunner<RunFunctions> {
  const runner = createMemoryRunner(options);
  toClose.push(runner);
  return runner;
}

const LEASE_MS = 1_000;
const clockOf = createFakeClock;

/** Lets promises that are ready go on. */
const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Two runners on one store whose step waits until it is released, and a resource that compares fences. */
function twoRunners(): {
  readonly clock: ReturnType<typeof clockOf>;
  readonly runners: readonly [MemoryRunner<RunFunctions>, MemoryRunner<RunFunctions>];
  readonly started: { readonly runner: number; readonly fence: bigint }[];
  readonly release: (() => void)[];
  readonly effects: bigint[];
  readonly refused: bigint[];
} {
  const clock = clockOf();
  const store = new MemoryRunStore();
  const started: { runner: number; fence: bigint }[] = [];
  const release: (() => void)[] = [];
  const effects: bigint[] = [];
  const refused: bigint[] = [];
  let highest = 0n;
  const functionsOf = (runner: number): RunFunctions => ({
    work: async (context) => {
      const first = await context.step('first', async () => `by ${runner}`);
      return context.step('effect', async ({ fence }) => {
        started.push({ runner, fence });
        if (fence > highest) highest = fence;
        await new Promise<void>((resolve) => void release.push(resolve));
        (fence < highest ? refused : effects).push(fence);
        return `${first}, ended by ${runner}`;
      });
    },
  });
  const open = (runner: number): MemoryRunner<RunFunctions> =>
    createMemoryRunner({ functions: functionsOf(runner), store, clock, leaseMs: LEASE_MS });
  return { clock, runners: [open(1), open(2)], started, release, effects, refused };
}

describe('runners that share a store', () => {
  test('a run of a killed runner goes on in the other within its lease, at the interrupted step', async () => {
    const { clock, runners, started, release } = twoRunners();
    const [first, second] = runners;
    await first.start('work', null, { runId: 'a' });
    await turn();
    const killed = started.at(-1)?.runner === 1 ? first : second;
    const other = killed === first ? second : first;
    killed.kill();
    await clock.advance(LEASE_MS / 2);
    expect(started).toHaveLength(1);
    await clock.advance(LEASE_MS);
    await turn();
    expect(started.map(({ fence }) => fence)).toEqual([1n, 2n]);
    release[1]?.();
    const names = killed === first ? ['by 1', 'ended by 2'] : ['by 2', 'ended by 1'];
    expect(await other.result('a')).toBe(names.join(', '));
    await other.close();
  });

  test('an execution that lost its lease stores nothing, and the resource refuses its fence', async () => {
    const { clock, runners, started, release, effects, refused } = twoRunners();
    const [first, second] = runners;
    await first.start('work', null, { runId: 'a' });
    await turn();
    const [holder] = started;
    const stalled = holder?.runner === 1 ? first : second;
    const other = stalled === first ? second : first;
    stalled.stall();
    await clock.advance(2 * LEASE_MS);
    await turn();
    expect(started).toHaveLength(2);
    release[0]?.();
    await turn();
    expect(refused).toEqual([1n]);
    expect(await other.list()).toMatchObject([{ state: 'running', step: 'effect', fence: 2n }]);
    stalled.resume();
    release[1]?.();
    expect(await other.result('a')).toContain(`ended by ${other === first ? 1 : 2}`);
    expect(effects).toEqual([2n]);
    await Promise.all(runners.map(async (runner) => runner.close()));
  });

  test('a run that makes no progress is taken from its process, however alive that is', async () => {
    const clock = clockOf();
    const fences: bigint[] = [];
    const progressTimeoutMs = 5 * LEASE_MS;
    const functions: RunFunctions = {
      stuck: async (context) =>
        context.step('once', async ({ fence }) => {
          fences.push(fence);
          return fence === 1n ? new Promise<string>(() => {}) : 'done';
        }),
      sleeps: async (context) => {
        await context.sleep('long', 3 * progressTimeoutMs);
        return context.step('once', async ({ fence }) => String(fence));
      },
    };
    const runner = opened({
      functions,
      clock,
      leaseMs: LEASE_MS,
      progressTimeoutMs,
    });
    await runner.start('stuck', null, { runId: 'stuck' });
    await runner.start('sleeps', null, { runId: 'sleeps' });
    await turn();
    expect(fences).toEqual([1n]);
    for (let passed = 0; passed < 4 * progressTimeoutMs; passed += LEASE_MS / 4) {
      await clock.advance(LEASE_MS / 4);
      await turn();
    }
    expect(fences).toEqual([1n, 2n]);
    expect(await runner.result('stuck')).toBe('done');
    expect(await runner.result('sleeps')).toBe('1');
  });

  test('a sleep ends when it was first due, also after a takeover', async () => {
    const clock = clockOf();
    const store = new MemoryRunStore();
    const endedMs: number[] = [];
    const functions: RunFunctions = {
      sleeps: async (context) => {
        await context.sleep('a while', 10 * LEASE_MS);
        endedMs.push(clock.epochMs());
        return null;
      },
    };
    const options = { functions, store, clock, leaseMs: LEASE_MS };
    const startedMs = clock.epochMs();
    const first = createMemoryRunner(options);
    await first.start('sleeps', null, { runId: 'a' });
    await turn();
    first.kill();
    await clock.advance(6 * LEASE_MS);
    const second = opened(options);
    await turn();
    await clock.advance(4 * LEASE_MS);
    await second.result('a');
    expect(endedMs).toEqual([startedMs + 10 * LEASE_MS]);
  });

  test('options out of their range are refused with the field', () => {
    const functions: RunFunctions = {};
    expect(() => createMemoryRunner({ functions, leaseMs: 0 })).toThrow(/leaseMs/);
    // @ts-expect-error -- an unknown option
    expect(() => createMemoryRunner({ functions, lease: 1 })).toThrow(/lease must be one of/);
  });
});
