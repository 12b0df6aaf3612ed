import { expect, test } from '@jest/globals';
import {
  type DisasterPlanOptions,
  type StepContext,
  MemoryRunStore,
  createMemoryRunner,
  disasterPlan,
  testDisasterRecovery,
} from '@holdfast/operations';

interface Sites {
  readonly done: string[];
  readonly options: DisasterPlanOptions;
}

/** Two sites that note what is done to them. */
function sites(failing: readonly string[] = [], more: Partial<DisasterPlanOptions> = {}): Sites {
  const done: string[] = [];
  const act = (name: string) => async (): Promise<void> => {
    done.push(name);
    if (failing.includes(name)) throw new Error(`${name} is out of order`);
  };
  const options = {
    lagMs: async () => 40,
    fence: act('fence'),
    unfence: act('unfence'),
    promote: act('promote'),
    startServices: act('services'),
    routes: [
      { name: 'dns', activate: act('dns') },
      { name: 'cdn', activate: act('cdn') },
    ],
    maxAttempts: 2,
    initialDelayMs: 0,
    ...more,
  };
  return { done, options };
}

async function outcomeOf({ options }: Sites): Promise<unknown> {
  const runner = createMemoryRunner({ functions: { disaster: disasterPlan(options) } });
  try {
    await runner.start('disaster', null, { runId: 'a' });
    return await runner.result('a');
  } finally {
    await runner.close();
  }
}

test('the old site is fenced before the other is promoted, and traffic moves last', async () => {
  const both = sites();
  expect(await outcomeOf(both)).toEqual({ kind: 'active', lagMs: 40 });
  expect(both.done).toEqual(['fence', 'promote', 'services', 'dns', 'cdn']);
});

test('a standby that is too far behind takes over nothing, and nothing is touched', async () => {
  const both = sites([], { maxLagMs: 39 });
  expect(await outcomeOf(both)).toMatchObject({ kind: 'reverted', failed: 'lag' });
  expect(both.done).toEqual([]);
});

test('a failure up to the promotion is undone: the old site takes writes again', async () => {
  const unfenced = sites(['fence']);
  expect(await outcomeOf(unfenced)).toMatchObject({ kind: 'reverted', failed: 'fence' });
  expect(unfenced.done).toEqual(['fence', 'fence', 'unfence']);
  const unpromoted = sites(['promote']);
  expect(await outcomeOf(unpromoted)).toMatchObject({ kind: 'reverted', failed: 'promote' });
  expect(unpromoted.done).toEqual(['fence', 'promote', 'promote', 'unfence']);
});

test('after the promotion there is no way back: what fails is left over, and the rest is done', async () => {
  const both = sites(['services', 'dns']);
  expect(await outcomeOf(both)).toMatchObject({
    kind: 'incomplete',
    missing: ['services', 'route dns'],
  });
  expect(both.done).toEqual(['fence', 'promote', 'services', 'services', 'dns', 'dns', 'cdn']);
});

test('a plan whose process dies goes on in another, with a higher fence, and fences the old site once', async () => {
  const { promise: promoting, resolve: reached } = Promise.withResolvers<void>();
  const fences: bigint[] = [];
  const both = sites([], {
    promote: async ({ fence }: StepContext) => {
      fences.push(fence);
      reached();
      if (fences.length === 1) await new Promise(() => {});
    },
  });
  const functions = { disaster: disasterPlan(both.options) };
  const store = new MemoryRunStore();
  const first = createMemoryRunner({ functions, store, leaseMs: 40 });
  await first.start('disaster', null, { runId: 'a' });
  await promoting;
  first.kill();
  const second = createMemoryRunner({ functions, store, leaseMs: 40 });
  expect(await second.result('a')).toEqual({ kind: 'active', lagMs: 40 });
  expect(both.done).toEqual(['fence', 'services', 'dns', 'cdn']);
  expect(fences).toEqual([1n, 2n]);
  await second.close();
});

test('what a test of the recovery broke is restored, however it ends', async () => {
  const calls: string[] = [];
  let issues: readonly string[] = [];
  const note = (call: string) => async (): Promise<null> => {
    calls.push(call);
    return null;
  };
  const options = {
    check: async () => issues,
    trigger: async () => {
      await note('trigger')();
    },
    recover: note('recover'),
    restore: async () => {
      await note('restore')();
    },
  };
  expect(await testDisasterRecovery(options)).toMatchObject({ isRecovered: true, issues: [] });
  const failing = async (): Promise<null> => {
    throw new Error('no standby');
  };
  const report = await testDisasterRecovery({ ...options, recover: failing });
  expect(report).toMatchObject({ isRecovered: false, issues: ['Error: no standby'] });
  const hanging = async (signal: AbortSignal): Promise<null> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('in vain')));
    });
  const late = await testDisasterRecovery({ ...options, recover: hanging, timeoutMs: 10 });
  expect(late).toMatchObject({ isRecovered: false });
  expect(calls).toEqual([
    'trigger',
    'recover',
    'restore',
    'trigger',
    'restore',
    'trigger',
    'restore',
  ]);
  issues = ['it was not well before'];
  await expect(testDisasterRecovery(options)).rejects.toMatchObject({
    code: 'CONTINUITY_NOT_STEADY',
  });
  expect(calls).toHaveLength(7);
});
