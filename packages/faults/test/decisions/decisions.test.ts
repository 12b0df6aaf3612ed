import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createDecisionLog } from '../../src/decision-log.ts';
import { createHistogram } from '@holdfast/foundation';
import { ActiveFaults } from '../../src/proxy/active-faults.ts';
import { FaultInjector } from '../../src/fault-injector.ts';

/** The hash of the decisions for fifty connections under three faults. */
function decide(seed: number): string {
  const log = createDecisionLog();
  const faults = new ActiveFaults({ seed, clock: createFakeClock(), log, onChange: () => {} });
  faults.set('reset', { probability: 0.1 }, 'reset');
  faults.set('latency', { latencyMs: 1, probability: 0.5 }, 'latency');
  faults.set('latency', { latencyMs: 2, probability: 0.5 }, 'latency');
  for (let connection = 1; connection <= 50; connection += 1) {
    for (const fault of faults.active()) fault.appliesTo(connection);
  }
  return log.read().hash;
}

test('equal seeds inject into the same connections in 1 000 runs, another seed into others', () => {
  const hashes = new Set(Array.from({ length: 1_000 }, () => decide(42)));
  expect(hashes.size).toBe(1);
  expect(hashes.has(decide(43))).toBe(false);
});

test('equal seeds refuse the same calls of a connection in 1 000 runs, whatever the order of connections', () => {
  const refused = (seed: number, connections: readonly number[]): string => {
    const injector = new FaultInjector<'one' | 'other', { probability: number; times: number }>(
      ['one', 'other'],
      { seed, log: createDecisionLog() },
    );
    injector.set('one', { probability: 0.3, times: Number.POSITIVE_INFINITY });
    injector.set('other', { probability: 0.5, times: Number.POSITIVE_INFINITY });
    return connections
      .flatMap((connection) =>
        Array.from({ length: 10 }, (_, call) => {
          const drawn = injector.drawFirst([connection, call], () => true);
          return `${connection} ${call} ${drawn?.kind ?? 'spared'}`;
        }),
      )
      .toSorted()
      .join();
  };
  const outcomes = Array.from({ length: 1_000 }, (_, run) =>
    refused(42, run % 2 === 0 ? [1, 2, 3] : [3, 1, 2]),
  );
  expect(new Set(outcomes).size).toBe(1);
  expect(outcomes).not.toContain(refused(43, [1, 2, 3]));
});

test('which connections a fault applies to does not depend on the other faults', () => {
  const strokes = (others: boolean): boolean[] => {
    const log = createDecisionLog();
    const faults = new ActiveFaults({
      seed: 3,
      clock: createFakeClock(),
      log,
      onChange: () => {},
    });
    if (others) faults.set('latency', { latencyMs: 1, probability: 0.5 }, 'latency');
    faults.set('reset', { probability: 0.5 }, 'reset');
    const fault = faults.active().find(({ kind }) => kind === 'reset');
    return Array.from({ length: 50 }, (_, connection) => fault?.appliesTo(connection) ?? false);
  };
  expect(strokes(true)).toEqual(strokes(false));
  expect(new Set(strokes(false)).size).toBe(2);
});

test('the log is bounded, and its hash is not', () => {
  const log = createDecisionLog();
  for (let decision = 0; decision < 5_000; decision += 1) log.record(String(decision));
  const { count, latest } = log.read();
  expect([count, latest.length, latest.at(-1)]).toEqual([5_000, 1_000, '4999']);
});

test('a histogram is at most 1.6 % above the true value, and never above the maximum', () => {
  const histogram = createHistogram();
  for (let ms = 1; ms <= 10_000; ms += 1) histogram.record(ms / 10);
  const { p50Ms, p99Ms, maxMs, meanMs, minMs } = histogram.read();
  expect([minMs, maxMs]).toEqual([0.1, 1_000]);
  expect(meanMs).toBeCloseTo(500.05, 5);
  expect(p50Ms).toBeGreaterThanOrEqual(500);
  expect(p50Ms).toBeLessThanOrEqual(500 * 1.016);
  expect(p99Ms).toBeGreaterThanOrEqual(990);
  expect(p99Ms).toBeLessThanOrEqual(1_000);
  expect(createHistogram().read()).toMatchObject({ count: 0, p99Ms: 0 });
});
