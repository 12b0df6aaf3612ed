import { expect, test } from '@jest/globals';
import { type ExperimentResult, experiment } from '@holdfast/faults';
import { type Random, seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { binomialTail } from '../../src/experiment/significance.ts';

const noFault = () => () => {};
const never = (): Promise<never> => new Promise(() => {});
const refused = (): never => {
  throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
};

/** A probe that is bad by chance, by a refusal or by silence. */
function noisy(share: number, random: Random, kind: 'refused' | 'hanging' = 'refused') {
  const bad = kind === 'refused' ? refused : never;
  return async (): Promise<void> => (random() < share ? bad() : undefined);
}

const run = (
  clock: FakeClock,
  options: Partial<Parameters<typeof experiment>[0]> &
    Pick<Parameters<typeof experiment>[0], 'steadyState'>,
): Promise<ExperimentResult> =>
  clock.settle(
    experiment({ name: 'verdict', fault: noFault, durationMs: 1_000, clock, ...options }),
  );

test.each([
  { share: 0.05, maxBadShare: 0.1, kind: 'refused', baselineMs: 1_000 },
  { share: 0.05, maxBadShare: 0.1, kind: 'hanging', baselineMs: 1_000 },
  { share: 0.02, maxBadShare: 0.02, kind: 'refused', baselineMs: 1_000 },
  { share: 0.3, maxBadShare: 0.4, kind: 'refused', baselineMs: 200 },
] as const)(
  'a fault that does nothing is withstood under $share of $kind probes in $baselineMs ms',
  async ({ share, maxBadShare, kind, baselineMs }) => {
    const verdicts: Record<string, number> = {};
    for (let seed = 1; seed <= 60; seed += 1) {
      const clock = createFakeClock();
      const probes = { search: noisy(share, seededRandom(seed), kind) };
      const steadyState = { probes, maxBadShare, timeoutMs: 100 };
      const verdict = await run(clock, { steadyState, baselineMs }).then(
        (result) => result.verdict,
        (error: { code: string }) => error.code,
      );
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      expect(clock.pendingTimers).toBe(0);
    }
    const { withstood = 0, FAULTS_NO_STEADY_STATE: unsteady = 0 } = verdicts;
    // A steady state that is stated as it is can look worse once in a hundred times.
    expect(unsteady).toBeLessThanOrEqual(share === maxBadShare ? 3 : 0);
    expect({ verdicts, withstood }).toEqual({ verdicts, withstood: 60 - unsteady });
  },
);

test.each([
  { badShare: 1, withinMs: 100 },
  { badShare: 0.5, withinMs: 400 },
])(
  'an outage in which $badShare of the probes are bad is found under background errors, and measured',
  async ({ badShare, withinMs }) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const clock = createFakeClock();
      const random = seededRandom(seed);
      let share = 0.05;
      const result = await run(clock, {
        steadyState: {
          probes: { search: async () => (random() < share ? refused() : undefined) },
          maxBadShare: 0.1,
        },
        fault() {
          share = badShare;
          return () => void (share = 0.05);
        },
        durationMs: 2_000,
      });
      expect(result).toMatchObject({ verdict: 'recovered', confidence: 0.999 });
      // A bad probe by chance beside the outage cannot be told from it.
      expect(Math.abs((result.outageMs ?? Number.NaN) - 2_000)).toBeLessThan(withinMs);
    }
  },
);

test('a share of bad probes that grows a little is an outage although no probe row is long', async () => {
  const clock = createFakeClock();
  let every = 20;
  let asked = 0;
  const result = await run(clock, {
    steadyState: {
      probes: {
        async search() {
          asked += 1;
          if (asked % every === 0) refused();
        },
      },
      maxBadShare: 0.1,
    },
    fault() {
      every = 5;
      return () => void (every = 20);
    },
    durationMs: 3_000,
  });
  expect(result).toMatchObject({ verdict: 'recovered', blastRadius: { endpoints: ['search'] } });
});

test.each([
  ['refuses', refused, 0],
  ['refuses', refused, 0.6],
  ['hangs', never, 0],
  ['hangs', never, 0.6],
] as const)(
  'an endpoint that %s before the fault is named, and no fault is injected (%#)',
  async (_, dead, maxBadShare) => {
    for (const baselineMs of [100, 1_000]) {
      const clock = createFakeClock();
      let wasInjected = false;
      const outcome = run(clock, {
        steadyState: {
          probes: { alive: async () => {}, also: async () => {}, dead: async () => dead() },
          maxBadShare,
        },
        baselineMs,
        fault() {
          wasInjected = true;
          return () => {};
        },
      });
      await expect(outcome).rejects.toMatchObject({
        code: 'FAULTS_NO_STEADY_STATE',
        message: expect.stringMatching(/verdict: \d+ of \d+ probes of dead were bad before/),
        endpoints: { dead: {} },
      });
      await expect(outcome).rejects.not.toMatchObject({ endpoints: { alive: {} } });
      expect(wasInjected).toBe(false);
      expect(clock.pendingTimers).toBe(0);
    }
  },
);

/** Breaks an endpoint at the injection; from the undoing on it is good and bad by turns. */
async function flapping(
  { goodMs, badMs, forMs }: { goodMs: number; badMs: number; forMs: number },
  options: Partial<Parameters<typeof experiment>[0]> = {},
) {
  const clock = createFakeClock();
  let injectedMs = Number.POSITIVE_INFINITY;
  const result = await run(clock, {
    steadyState: {
      probes: {
        async search() {
          const sinceMs = clock.now() - injectedMs;
          const isBad = sinceMs >= 0 && sinceMs % (goodMs + badMs) < badMs;
          if (isBad && sinceMs < forMs) refused();
        },
      },
    },
    fault() {
      injectedMs = clock.now();
      return () => {};
    },
    ...options,
  });
  expect(clock.pendingTimers).toBe(0);
  return result;
}

test.each([
  { goodMs: 100, badMs: 100 },
  { goodMs: 500, badMs: 500 },
  { goodMs: 900, badMs: 100 },
])(
  'an endpoint that is good for $goodMs ms and bad for $badMs for ever is not back',
  async (turns) => {
    const result = await flapping({ ...turns, forMs: Infinity }, { recoveryTimeoutMs: 6_000 });
    expect(result.verdict).toBe('lost');
    expect(result).not.toHaveProperty('outageMs');
    expect(result.lessons.join(' ')).toContain('it is flapping');
  },
);

test('an endpoint that was good for longer than stableMs before it was bad again has to be good for twice as long', async () => {
  const turns = { goodMs: 1_500, badMs: 200, forMs: Infinity };
  const forever = await flapping(turns, { durationMs: 4_000, recoveryTimeoutMs: 10_000 });
  expect(forever.verdict).toBe('lost');
  const once = await flapping({ ...turns, forMs: 3_500 }, { durationMs: 3_000 });
  expect(once).toMatchObject({ verdict: 'recovered' });
  // Bad from 0 to 200 ms, from 1 700 to 1 900, and from 3 400 to 3 500.
  expect(Math.abs((once.outageMs ?? Number.NaN) - 3_500)).toBeLessThanOrEqual(10);
  expect(once.lessons).toContainEqual(expect.stringContaining('once more after the fault'));
});

test('the chance of bad probes is that of the binomial distribution', () => {
  expect(binomialTail(0, 10, 0.1)).toBe(1);
  expect(binomialTail(10, 10, 0.1)).toBeCloseTo(1e-10, 14);
  // 1 - 0.9 ** 10 - 10 * 0.1 * 0.9 ** 9
  expect(binomialTail(2, 10, 0.1)).toBeCloseTo(0.2639, 4);
  expect(binomialTail(60, 1_000, 0.05)).toBeCloseTo(0.0867, 3);
  expect(binomialTail(1, 10, 0)).toBe(0);
});
