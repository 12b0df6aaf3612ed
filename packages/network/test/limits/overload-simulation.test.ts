import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { createOverloadGate } from '@holdfast/network/limits';

const COST_MS = 10;
const PATIENCE_MS = 500;
const CALLS = 1_200;
/** When the gate has noticed the overload, and those that had begun to wait are gone. */
const ONSET_MS = 600;

/** A processor that all running calls share, as those of one event loop do that take turns. */
function processorOf(clock: FakeClock): (costMs: number) => Promise<void> {
  const running = new Set<{ leftMs: number; end: () => void }>();
  let lastMs = clock.now();
  let timer: { cancel(): void } | undefined;
  const update = (): void => {
    const eachMs = (clock.now() - lastMs) / Math.max(1, running.size);
    lastMs = clock.now();
    for (const call of running) {
      call.leftMs -= eachMs;
      if (call.leftMs > 1e-6) continue;
      running.delete(call);
      call.end();
    }
    timer?.cancel();
    const least = Math.min(...[...running].map(({ leftMs }) => leftMs));
    if (running.size > 0) timer = clock.schedule(least * running.size, update);
  };
  return (costMs) =>
    new Promise((end) => {
      update();
      running.add({ leftMs: costMs, end });
      update();
    });
}

/** Calls at a multiple of what the processor can serve, at random times. */
async function offer(load: number, guarded: boolean) {
  const clock = createFakeClock();
  const random = seededRandom(7);
  const work = processorOf(clock);
  const gate = createOverloadGate({ maxConcurrent: 4, clock });
  const seen = { inTime: 0, late: 0, refusedMs: [] as number[] };
  const call = async (): Promise<void> => {
    const startMs = clock.now();
    try {
      await (guarded ? gate.process(() => work(COST_MS)) : work(COST_MS));
      if (clock.now() - startMs <= PATIENCE_MS) seen.inTime += 1;
      else seen.late += 1;
    } catch {
      if (startMs > ONSET_MS) seen.refusedMs.push(clock.now() - startMs);
    }
  };
  const calls: Promise<void>[] = [];
  for (let at = 0; at < CALLS; at += 1) {
    calls.push(call());
    await clock.advance((-Math.log(1 - random()) * COST_MS) / load);
  }
  await clock.settle(Promise.all(calls));
  seen.refusedMs.sort((a, b) => a - b);
  return seen;
}

test('at twice the load a gate serves more calls in time than there would be without it, keeps none waiting in vain and refuses within 20 ms', async () => {
  const bare = await offer(2, false);
  const gated = await offer(2, true);
  expect(gated.inTime).toBeGreaterThanOrEqual(1.05 * bare.inTime);
  // Half of them is all that the processor can do.
  expect(gated.inTime).toBeGreaterThan(0.45 * CALLS);
  expect(gated.late).toBe(0);
  expect(gated.refusedMs[Math.floor(gated.refusedMs.length * 0.99)]).toBeLessThan(20);
});

test('at half the load no call is refused or late, at four fifths at most one in fifty', async () => {
  expect(await offer(0.5, true)).toEqual({ inTime: CALLS, late: 0, refusedMs: [] });
  const busy = await offer(0.8, true);
  expect(busy.inTime).toBeGreaterThanOrEqual(0.98 * CALLS);
  expect(busy.late).toBe(0);
});
