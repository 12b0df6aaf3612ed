import { expect, test } from '@jest/globals';
import { type ExperimentOptions, experiment } from '@holdfast/faults';
import { sleep } from '@holdfast/foundation';
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

test('a failure to undo is told beside what was measured, and probing ends', async () => {
  const clock = createFakeClock();
  const { counted, fault } = countedFault();
  const failure = new Error('stays broken');
  const result = await ending(clock, {
    fault() {
      fault();
      return () => {
        throw failure;
      };
    },
    steadyState: {
      probes: {
        async struck() {
          if (counted.broken > 0) throw failure;
        },
      },
    },
    recoveryTimeoutMs: 500,
  });
  expect(result).toMatchObject({
    verdict: 'lost',
    impact: { badShare: 1 },
    blastRadius: { endpoints: ['struck'] },
    undoError: { code: 'FAULTS_NOT_UNDONE', cause: failure },
  });
  expect(clock.pendingTimers).toBe(0);
});

test('an undo function that hangs is waited for only so long, and those of the earlier steps are called', async () => {
  const clock = createFakeClock();
  const undone: string[] = [];
  const result = await ending(clock, {
    fault(_, undo) {
      undo.defer(() => undone.push('first'));
      undo.defer(never);
      return () => undone.push('last');
    },
    undoTimeoutMs: 700,
  });
  expect(undone).toEqual(['last', 'first']);
  expect(result).toMatchObject({
    verdict: 'lost',
    undoError: { code: 'FAULTS_NOT_UNDONE', message: expect.stringContaining('took longer') },
  });
  expect(clock.now()).toBeLessThan(4_000);
  expect(clock.pendingTimers).toBe(0);
});

test.each([[[600]], [[990]], [[500, 10, 10, 10, 450]]])(
  'undo functions may use all of undoTimeoutMs, one after the other: %p',
  async (lengths) => {
    const clock = createFakeClock();
    const events: string[] = [];
    const fault: ExperimentOptions['fault'] = (_, undo) => {
      for (const [index, lengthMs] of lengths.entries()) {
        undo.defer(async () => {
          events.push(`begin ${index}`);
          await sleep(clock, lengthMs);
          events.push(`end ${index}`);
        });
      }
    };
    const result = await ending(clock, { fault, undoTimeoutMs: 1_000 });
    expect(result).toMatchObject({ verdict: 'withstood' });
    expect(result).not.toHaveProperty('undoError');
    const order = lengths.map((_, index) => index).toReversed();
    expect(events).toEqual(order.flatMap((index) => [`begin ${index}`, `end ${index}`]));
    expect(clock.pendingTimers).toBe(0);
  },
);

test('the steps of a fault that rejects halfway are undone, the latest first', async () => {
  const clock = createFakeClock();
  const undone: number[] = [];
  const fault: ExperimentOptions['fault'] = async (_, undo) => {
    undo.defer(() => undone.push(1));
    undo.defer(async () => undone.push(2));
    throw new Error('the third step fails');
  };
  expect(await ending(clock, { fault })).toEqual(new Error('the third step fails'));
  expect(undone).toEqual([2, 1]);
  expect(clock.pendingTimers).toBe(0);
});

test('a fault that hangs is given up, what it deferred is undone, and so is what comes too late', async () => {
  const clock = createFakeClock();
  const undone: string[] = [];
  const injected = Promise.withResolvers<() => void>();
  const outcome = await ending(clock, {
    fault(_, undo) {
      undo.defer(() => undone.push('deferred'));
      return injected.promise;
    },
    faultTimeoutMs: 400,
    undoTimeoutMs: 400,
  });
  expect(outcome).toMatchObject({ code: 'RESILIENCE_TIMEOUT' });
  expect(undone).toEqual(['deferred']);
  injected.resolve(() => undone.push('late'));
  await clock.advance(1);
  expect(undone).toEqual(['deferred', 'late']);
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

test('an abortIf may be async: it aborts by true alone, and ends the experiment by its rejection', async () => {
  const clock = createFakeClock();
  const { fault } = countedFault();
  expect(await ending(clock, { fault, abortIf: async () => false })).toMatchObject({
    verdict: 'withstood',
  });
  const after5 = async ({ probes }: { probes: number }): Promise<boolean> => probes >= 5;
  expect(await ending(clock, { fault, abortIf: after5, durationMs: 3_600_000 })).toMatchObject({
    verdict: 'aborted',
  });
  expect(clock.now()).toBeLessThan(10_000);
  const failure = new Error('abortIf cannot count');
  const abortIf = (): Promise<never> => Promise.reject(failure);
  expect(await ending(clock, { fault, abortIf, durationMs: 3_600_000 })).toBe(failure);
  expect(clock.pendingTimers).toBe(0);
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
