import { expect, test } from '@jest/globals';
import { type ExperimentOptions, type ExperimentResult, experiment } from '@holdfast/faults';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { openBench, read } from '../servers.ts';

/** A service to break: back `returnMs` after the undoing, or by itself after `selfHealMs`. */
function service(clock: FakeClock, returnMs = 0, selfHealMs = Number.POSITIVE_INFINITY) {
  let downSinceMs: number | undefined;
  let upAtMs = 0;
  let undone = 0;
  return {
    get undone() {
      return undone;
    },
    probe: async () => {
      const now = clock.now();
      const isDown = downSinceMs !== undefined && now - downSinceMs < selfHealMs;
      if (isDown || now < upAtMs) throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
    },
    fault: () => {
      downSinceMs = clock.now();
      return () => {
        undone += 1;
        downSinceMs = undefined;
        upAtMs = clock.now() + returnMs;
      };
    },
  };
}

async function run(
  clock: FakeClock,
  options: Partial<ExperimentOptions> & Pick<ExperimentOptions, 'steadyState' | 'fault'>,
): Promise<ExperimentResult> {
  return clock.settle(experiment({ name: 'trial', durationMs: 1_000, clock, ...options }));
}

test('detection, outage, recovery and blast radius are measured', async () => {
  const clock = createFakeClock();
  const broken = service(clock, 200);
  const result = await run(clock, {
    steadyState: { probes: { search: broken.probe, status: async () => {} } },
    fault: broken.fault,
  });
  expect(result).toMatchObject({
    verdict: 'recovered',
    baseline: { bad: 0 },
    impact: { badShare: 0.5, errors: { network_error: expect.any(Number) } },
    blastRadius: { share: 0.5, endpoints: ['search'] },
    resolutionMs: 10,
  });
  expect(result.detectionMs).toBeLessThanOrEqual(10);
  expect(result.recoveryMs).toBeGreaterThanOrEqual(200);
  expect(result.recoveryMs).toBeLessThanOrEqual(210);
  expect(result.outageMs).toBeGreaterThanOrEqual(1_190);
  expect(result.lessons).toContainEqual(expect.stringContaining('once the fault was undone'));
  expect(clock.pendingTimers).toBe(0);
});

test('a service that heals itself is back while the fault is still active', async () => {
  const clock = createFakeClock();
  const broken = service(clock, 0, 300);
  const result = await run(clock, {
    steadyState: { probes: { search: broken.probe } },
    fault: broken.fault,
  });
  expect(result.verdict).toBe('recovered');
  expect(result.outageMs).toBeLessThanOrEqual(310);
  expect(result.recoveryMs).toBeUndefined();
  expect(result.lessons).toContainEqual(expect.stringContaining('heals itself'));
});

test('a fault that no probe notices was withstood', async () => {
  const clock = createFakeClock();
  const result = await run(clock, {
    steadyState: { probes: { status: async () => {} } },
    fault: () => () => {},
  });
  expect(result.verdict).toBe('withstood');
  expect(result.detectionMs).toBeUndefined();
});

test('without a steady state no fault is injected', async () => {
  const clock = createFakeClock();
  let wasBroken = false;
  const outcome = run(clock, {
    steadyState: { probes: { search: async () => Promise.reject(new Error('already down')) } },
    fault: () => {
      wasBroken = true;
      return () => {};
    },
  });
  await expect(outcome).rejects.toMatchObject({ code: 'FAULTS_NO_STEADY_STATE' });
  expect(wasBroken).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test('a service that does not recover is lost, and so is one whose verification fails', async () => {
  const clock = createFakeClock();
  const broken = service(clock, 3_600_000);
  const gone = await run(clock, {
    steadyState: { probes: { search: broken.probe } },
    fault: broken.fault,
    recoveryTimeoutMs: 500,
  });
  expect(gone.verdict).toBe('lost');
  expect(gone.lessons).toContainEqual(expect.stringContaining('Not back 500 ms'));
  const lossy = await run(clock, {
    steadyState: { probes: { search: async () => {} } },
    fault: () => () => {},
    verify: () => {
      throw new Error('a job is missing');
    },
  });
  expect(lossy).toMatchObject({ verdict: 'lost', verifyError: { message: 'a job is missing' } });
});

test('abortIf ends the impact early, and the fault is undone', async () => {
  const clock = createFakeClock();
  const broken = service(clock);
  const result = await run(clock, {
    steadyState: { probes: { search: broken.probe } },
    fault: broken.fault,
    durationMs: 3_600_000,
    abortIf: ({ bad }) => bad >= 10,
  });
  expect(result.verdict).toBe('aborted');
  expect(result.impact.bad).toBeGreaterThanOrEqual(9);
  expect(result.impact.probes).toBeLessThan(12);
  expect(broken.undone).toBe(1);
});

test('the fault is undone once when the caller aborts', async () => {
  const clock = createFakeClock();
  const broken = service(clock);
  const caller = new AbortController();
  const outcome = experiment({
    name: 'trial',
    durationMs: 10_000,
    steadyState: { probes: { search: broken.probe } },
    fault: broken.fault,
    signal: caller.signal,
    clock,
  }).catch((reason: unknown) => reason);
  await clock.advance(3_000);
  caller.abort(new Error('enough'));
  expect(await outcome).toEqual(new Error('enough'));
  expect(broken.undone).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});

test('a latency of the proxy makes probes too slow', async () => {
  const bench = await openBench();
  const client = await bench.dial();
  const probe = async (): Promise<void> => {
    const dialled = await bench.dial();
    dialled.write('?');
    await read(dialled, 1);
    dialled.destroy();
  };
  try {
    const result = await experiment({
      name: 'slow answers',
      steadyState: { probes: { echo: probe }, maxLatencyMs: 100, maxBadShare: 0.2 },
      baselineMs: 200,
      durationMs: 300,
      fault: () => {
        bench.proxy.faults.set('blackhole');
        return () => bench.proxy.heal();
      },
      verify: () => expect(client.destroyed).toBe(false),
    });
    expect(result.verdict).toBe('recovered');
    expect(result.blastRadius.endpoints).toEqual(['echo']);
  } finally {
    await bench.close();
  }
});
