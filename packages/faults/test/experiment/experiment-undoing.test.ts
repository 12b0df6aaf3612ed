import { expect, test } from '@jest/globals';
import { type ExperimentOptions, experiment } from '@holdfast/faults';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';

const never = (): Promise<never> => new Promise(() => {});
const fine = async (): Promise<void> => {};

/** A fault that counts how often it is there and how often it was undone. */
function countedFault() {
  const counted = { broken: 0, undone: 0 };
  const fault = () => {
    counted.broken += 1;
    return () => void (counted.undone += 1);
  };
  return { counted, fault };
}

/** Runs one to its end, whatever end that is. */
async function ending(
  clock: FakeClock,
  options: Partial<ExperimentOptions> & Pick<ExperimentOptions, 'fault'>,
): Promise<unknown> {
  const given = { name: 'trial', durationMs: 1_000, steadyState: { probes: { fine } }, clock };
  return clock.settle(experiment({ ...given, ...options })).catch((error: unknown) => error);
}

test('an abortIf that throws ends the experiment at once with its error, and the fault is undone', async () => {
  const clock = createFakeClock();
  const { counted, fault } = countedFault();
  const failure = new Error('abortIf cannot count');
  let asked = 0;
  const abortIf = (): boolean => {
    asked += 1;
    if (asked === 3) throw failure;
    return false;
  };
  expect(await ending(clock, { fault, abortIf, durationMs: 3_600_000 })).toBe(failure);
  expect(counted).toEqual({ broken: 1, undone: 1 });
  expect(clock.now()).toBeLessThan(2_000);
  expect(clock.pendingTimers).toBe(0);
});

test('a probe that hangs and ignores its signal is bad, and delays neither the undoing nor the end', async () => {
  const clock = createFakeClock();
  const { counted, fault } = countedFault();
  const hanging = (): unknown => (counted.broken > counted.undone ? never() : undefined);
  const result = await ending(clock, {
    fault,
    steadyState: { probes: { hanging, fine }, timeoutMs: 200 },
  });
  expect(result).toMatchObject({
    verdict: 'recovered',
    impact: { errors: { network_timeout: expect.any(Number) } },
    blastRadius: { endpoints: ['hanging'] },
  });
  expect(counted).toEqual({ broken: 1, undone: 1 });
  expect(clock.pendingTimers).toBe(0);
});

test('an abort during the injection undoes the fault after it is injected', async () => {
  const clock = createFakeClock();
  const caller = new AbortController();
  const { counted, fault } = countedFault();
  const slow: ExperimentOptions['fault'] = async () => {
    caller.abort(new Error('enough'));
    return fault();
  };
  expect(await ending(clock, { fault: slow, signal: caller.signal })).toEqual(new Error('enough'));
  expect(counted).toEqual({ broken: 1, undone: 1 });
  expect(clock.pendingTimers).toBe(0);
});

test('a fault that fails is not undone, and its error is reported', async () => {
  const clock = createFakeClock();
  const fault = (): never => {
    throw new Error('cannot be broken');
  };
  expect(await ending(clock, { fault })).toEqual(new Error('cannot be broken'));
  expect(clock.pendingTimers).toBe(0);
});

test('a fault that returns no undo function is refused at once', async () => {
  const clock = createFakeClock();
  const steadyState = { probes: { fine } };
  const forgetful = { name: 'trial', durationMs: 1_000, steadyState, clock, fault: () => {} };
  // As a caller without types may write it.
  const outcome = clock.settle(Reflect.apply(experiment, undefined, [forgetful]));
  await expect(outcome).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'fault' });
  expect(clock.now()).toBeLessThan(1_100);
  expect(clock.pendingTimers).toBe(0);
});

test('a failure to undo the fault is reported, and probing ends', async () => {
  const clock = createFakeClock();
  const fault = () => () => {
    throw new Error('stays broken');
  };
  expect(await ending(clock, { fault })).toEqual(new Error('stays broken'));
  expect(clock.pendingTimers).toBe(0);
});

test('a verification that hangs counts as failed, and an aborted one rejects with the reason', async () => {
  const clock = createFakeClock();
  const { fault } = countedFault();
  expect(await ending(clock, { fault, verify: never, verifyTimeoutMs: 700 })).toMatchObject({
    verdict: 'lost',
    verifyError: { code: 'RESILIENCE_TIMEOUT' },
  });
  const caller = new AbortController();
  const verify = (): Promise<never> => {
    caller.abort(new Error('enough'));
    return never();
  };
  expect(await ending(clock, { fault, verify, signal: caller.signal })).toEqual(
    new Error('enough'),
  );
  expect(clock.pendingTimers).toBe(0);
});

test('bad probes within the usual share are not an outage, and the blast radius names only endpoints beyond it', async () => {
  const clock = createFakeClock();
  const { counted, fault } = countedFault();
  let asked = 0;
  const noisy = async (): Promise<void> => {
    asked += 1;
    if (asked % 20 === 0) throw new Error('one in twenty');
  };
  const steady = { maxBadShare: 0.1, intervalMs: 10 };
  const calm = await ending(clock, { fault, steadyState: { ...steady, probes: { noisy } } });
  expect(calm).toMatchObject({ verdict: 'withstood', blastRadius: { endpoints: [] } });
  expect(calm).not.toHaveProperty('detectionMs');
  const struck = async (): Promise<void> => {
    if (counted.broken > counted.undone) throw new Error('broken');
  };
  const probes = { noisy, struck };
  expect(await ending(clock, { fault, steadyState: { ...steady, probes } })).toMatchObject({
    verdict: 'recovered',
    blastRadius: { endpoints: ['struck'] },
  });
});

test('abortIf is called with the impact after every probe', async () => {
  const clock = createFakeClock();
  const { fault } = countedFault();
  const impacts: number[] = [];
  const abortIf: ExperimentOptions['abortIf'] = ({ probes, bad, latency }) => {
    impacts.push(probes);
    expect([bad, latency.count]).toEqual([0, probes]);
    return false;
  };
  const result = await ending(clock, { fault, abortIf, durationMs: 500 });
  expect(impacts).toEqual(impacts.map((_, index) => index + 1));
  expect(impacts.length).toBeGreaterThan(40);
  expect(result).toMatchObject({ impact: { probes: impacts.length } });
});
