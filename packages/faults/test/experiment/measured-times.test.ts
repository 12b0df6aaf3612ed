import { expect, test } from '@jest/globals';
import { experiment } from '@holdfast/faults';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { openBench, read } from '../servers.ts';
import { type Breakage, scriptedEndpoint } from './scripted-endpoint.ts';

const breakages: readonly Breakage[] = ['refusal', 'reset', 'latency', 'silence'];

/** Breaks an endpoint for a known time, in a fault that may be slow to inject and to undo. */
async function measure(
  breakage: Breakage,
  {
    outageMs,
    serviceMs = 0,
    intervalMs = 10,
    maxLatencyMs = 200,
    injectMs = 0,
    undoMs = 0,
    offsetMs = 0,
  }: {
    outageMs: number;
    serviceMs?: number;
    intervalMs?: number;
    maxLatencyMs?: number;
    injectMs?: number;
    undoMs?: number;
    offsetMs?: number;
  },
) {
  const clock = createFakeClock();
  const endpoint = scriptedEndpoint(clock, { serviceMs });
  let beganMs = 0;
  let endedMs = 0;
  const result = await clock.settle(
    experiment({
      name: 'known times',
      steadyState: { probes: { search: endpoint.probe }, intervalMs, maxLatencyMs },
      baselineMs: 1_000 + offsetMs,
      async fault() {
        await sleep(clock, injectMs);
        endpoint.break(breakage);
        beganMs = clock.now();
        return async () => {
          endpoint.recover();
          endedMs = clock.now();
          await sleep(clock, undoMs);
        };
      },
      durationMs: outageMs,
      clock,
    }),
  );
  expect(clock.pendingTimers).toBe(0);
  return { result, trueMs: endedMs - beganMs, beganMs, endedMs };
}

test.each(breakages)(
  'an outage by %s is as long as it was, whatever its length, the interval and the usual latency',
  async (breakage) => {
    const random = seededRandom(12);
    for (let run = 0; run < 25; run += 1) {
      const options = {
        outageMs: 450 + Math.floor(random() * 3_000),
        serviceMs: [0, 3, 30, 120][run % 4] ?? 0,
        intervalMs: [10, 10, 25, 50][Math.floor(random() * 4)] ?? 10,
        injectMs: Math.floor(random() * 40),
        offsetMs: Math.floor(random() * 40),
      };
      const { result, trueMs } = await measure(breakage, options);
      const { outageMs = Number.NaN, resolutionMs } = result;
      expect({ options, verdict: result.verdict }).toEqual({ options, verdict: 'recovered' });
      expect(resolutionMs).toBeLessThanOrEqual(options.intervalMs + options.serviceMs);
      expect(result.recoveryMs).toBeLessThanOrEqual(resolutionMs);
      const errorMs = Math.abs(outageMs - trueMs);
      expect({ options, outageMs, trueMs, isExact: errorMs <= resolutionMs }).toMatchObject({
        isExact: true,
      });
    }
  },
);

test('a fault that is slow to undo is not called healed by itself, and the recovery does not count the undoing', async () => {
  for (const breakage of breakages) {
    const { result, trueMs } = await measure(breakage, { outageMs: 1_500, undoMs: 800 });
    expect(result).toMatchObject({ verdict: 'recovered', recoveryMs: 0 });
    expect(Math.abs((result.outageMs ?? Number.NaN) - trueMs)).toBeLessThanOrEqual(10);
    expect(result.lessons.join(' ')).not.toContain('heals itself');
  }
});

test('a fault is noticed when the first probe is refused, or has taken too long', async () => {
  const refused = await measure('refusal', { outageMs: 1_000 });
  expect(refused.result.detectionMs).toBeLessThanOrEqual(10);
  const silent = await measure('silence', { outageMs: 1_000, maxLatencyMs: 200 });
  expect(silent.result.detectionMs).toBeGreaterThanOrEqual(200);
  expect(silent.result.detectionMs).toBeLessThanOrEqual(210);
});

test.each([1, 10])(
  'a reset of the %d probes in progress at the injection is an outage',
  async (inProgress) => {
    const clock = createFakeClock();
    const waiting = new Set<(error: Error) => void>();
    const probe = (): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting.add(reject);
        void sleep(clock, inProgress * 10 + 5).then(() => {
          waiting.delete(reject);
          resolve();
        });
      });
    const result = await clock.settle(
      experiment({
        name: 'one-off reset',
        steadyState: { probes: { search: probe } },
        fault() {
          expect(waiting.size).toBe(inProgress);
          for (const reject of waiting)
            reject(Object.assign(new Error('x'), { code: 'ECONNRESET' }));
          return () => {};
        },
        durationMs: 1_000,
        clock,
      }),
    );
    expect(result).toMatchObject({
      verdict: 'recovered',
      impact: { bad: inProgress },
      blastRadius: { endpoints: ['search'] },
    });
    expect(result.detectionMs).toBe(0);
  },
);

test.each(['blackhole', 'silence', 'latency', 'reset', 'down'] as const)(
  'an outage by %s of a real proxy is as long as it was',
  async (kind) => {
    const bench = await openBench();
    let beganMs = 0;
    let undoneMs = 0;
    let witnessedMs = 0;
    const probe = async (signal: AbortSignal): Promise<void> => {
      const client = await bench.dial();
      signal.addEventListener('abort', () => client.destroy(), { once: true });
      client.write('?');
      await read(client, 1);
      client.destroy();
    };
    try {
      const result = await experiment({
        name: 'the server vanishes',
        steadyState: { probes: { echo: probe }, intervalMs: 40, maxLatencyMs: 2_000 },
        fault() {
          bench.proxy.faults.set(kind, kind === 'latency' ? { latencyMs: 5_000 } : {});
          beganMs = systemClock.now();
          return async () => {
            undoneMs = systemClock.now();
            await bench.proxy.heal();
            await probe(new AbortController().signal);
            witnessedMs = systemClock.now();
          };
        },
        durationMs: 1_500,
      });
      const { outageMs = Number.NaN, resolutionMs } = result;
      expect(result.verdict).toBe('recovered');
      // What the proxy held back is let go between these two moments, which are close unless the machine is busy.
      expect(outageMs).toBeGreaterThanOrEqual(undoneMs - beganMs - resolutionMs);
      expect(outageMs).toBeLessThanOrEqual(witnessedMs - beganMs + resolutionMs);
      expect(resolutionMs).toBeLessThan(undoneMs - beganMs);
    } finally {
      await bench.close();
    }
  },
);
