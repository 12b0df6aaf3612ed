import { expect } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { createOverloadGate } from '@holdfast/network/limits';
import { workFor } from '../../src/limits/clients.ts';
import { childEnd, reportOf, startChild } from '../../src/limits/child.ts';
import type { OverloadOptions, OverloadReport } from '../../src/limits/overload-main.ts';
import { scenario } from '../../src/limits/scenario.ts';

const CALLS = 120 * Number(process.env['HOLDFAST_RUNS'] ?? 2);
const LOAD = 2;
const PATIENCE_CALLS = 15;

async function overload(guarded: boolean): Promise<OverloadReport> {
  const options: OverloadOptions = {
    guarded,
    calls: CALLS,
    load: LOAD,
    patienceCalls: PATIENCE_CALLS,
  };
  return reportOf(
    await childEnd<OverloadReport>(startChild({ main: 'overload-main.ts', options })),
  );
}

scenario(
  {
    promise:
      'at twice the load it can serve, a gated service answers more calls in time than a bare one, and no client gives up',
    fault: `${CALLS} calls at ${LOAD} times the measured capacity, clients wait for the time of ${PATIENCE_CALLS} calls`,
  },
  async () => {
    const guarded = await overload(true);
    const bare = await overload(false);
    const { inTime, refused, givenUp, started, refusalP99Ms, callMs } = guarded;
    expect(inTime).toBeGreaterThanOrEqual(1.05 * bare.inTime);
    expect(inTime).toBeGreaterThan(CALLS / 4);
    expect({ givenUp, unanswered: CALLS - inTime - refused }).toEqual({
      givenUp: 0,
      unanswered: 0,
    });
    // What is refused was never started, and knew it soon: it waited for one call, while others had their turns.
    expect(started).toBe(inTime);
    expect(refusalP99Ms).toBeLessThan(6 * callMs);
    return {
      accepted: inTime,
      delivered: inTime,
      lost: 0,
      note: `${inTime} in time, ${refused} refused (99 % within ${Math.ceil(refusalP99Ms)} ms of processor time); without the gate ${bare.inTime} in time, ${bare.givenUp} given up`,
    };
  },
);

scenario(
  {
    promise:
      'implements request throttling under load: 20 calls of 50 ms, 10 at a time, take two rounds',
    fault: '20 calls at once',
  },
  async () => {
    const throttle = createOverloadGate({ maxConcurrent: 10, budgetMs: 30_000 });
    let running = 0;
    let most = 0;
    const startMs = systemClock.now();
    const tasks = Array.from({ length: 20 }, () =>
      throttle.process(async () => {
        running += 1;
        most = Math.max(most, running);
        await workFor(50);
        running -= 1;
      }),
    );
    await Promise.all(tasks);
    expect(systemClock.now() - startMs).toBeGreaterThan(90);
    expect(most).toBe(10);
    return { accepted: 20, delivered: throttle.getStats().served, lost: 0 };
  },
);
