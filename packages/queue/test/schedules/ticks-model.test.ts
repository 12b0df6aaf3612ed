import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { TickingProcess, TickingServer, pass } from './ticking-processes.ts';

const TOPIC = 'reports';
const EVERY_MS = 1_000;
const TICKS = 10_000;
const HOUR_MS = 3_600_000;
/** Less than a queue retains confirmed jobs. */
const LAG_MS = 2_000;
const MAX_STEP_MS = 60_000;
/** A story takes seconds of the processor; the machine may be busy. */
const TIMEOUT_MS = 240_000;

/** What happens to the processes and to their server, at random. */
type Happening = 'outage' | 'cut' | 'failover' | 'own clock' | 'server clock';

function happening(drawn: number): Happening | undefined {
  if (drawn < 0.06) return 'outage';
  if (drawn < 0.3) return 'cut';
  if (drawn < 0.34) return 'failover';
  if (drawn < 0.44) return 'own clock';
  return drawn < 0.48 ? 'server clock' : undefined;
}

test.each([1, 2])(
  'each of 10,000 ticks is one job, over 3 processes, outages, failovers and steps of all clocks (seed %i)',
  async (seed) => {
    const random = seededRandom(seed);
    const fake = createFakeClock();
    const server = new TickingServer(fake);
    const processes = [0, 1, 2].map(() => new TickingProcess(server, fake, { retainMs: 60_000 }));
    for (const one of processes) one.up();
    const many = { missed: 'all', maxMissed: 1_000 } as const;
    for (const { queue } of processes) {
      await fake.settle(queue.schedule('each', { everyMs: EVERY_MS }, TOPIC, null, many));
    }
    const firstMs = server.epochMs + EVERY_MS;
    const counts: Record<Happening, number> = {
      outage: 0,
      cut: 0,
      failover: 0,
      'own clock': 0,
      'server clock': 0,
    };
    const pick = (): TickingProcess | undefined => processes[Math.floor(random() * 3)];
    while (server.epochMs < firstMs + TICKS * EVERY_MS) {
      const what = happening(random());
      if (what !== undefined) counts[what] += 1;
      const one = pick();
      if (what === 'outage') for (const each of processes) each.down();
      if (what === 'cut') one?.down();
      if (what === 'own clock' && one) one.wallStepMs = (random() - 0.5) * 2 * HOUR_MS;
      if (what === 'server clock') {
        server.stepMs += Math.round((random() - 0.5) * 2 * MAX_STEP_MS);
      }
      if (what === 'failover') {
        const loseLatest = server.root.sync();
        await pass(fake, random() * LAG_MS);
        for (const each of processes) each.down();
        loseLatest();
        server.forgetSchedules();
      }
      await pass(fake, random() * 20_000);
      for (const each of processes) if (random() < 0.6 || each === one) each.up();
    }
    for (const each of processes) each.up();
    await pass(fake, MAX_STEP_MS + 20_000);
    const ticks = server.idsOf(TOPIC).map((id) => Number(id.split(' ').at(-1)));
    const inOrder = ticks.toSorted((a, b) => a - b);
    const lastMs = inOrder.at(-1) ?? 0;
    const expected = Array.from(
      { length: (lastMs - firstMs) / EVERY_MS + 1 },
      (_, index) => firstMs + index * EVERY_MS,
    );
    expect(expected.length).toBeGreaterThanOrEqual(TICKS);
    expect(inOrder).toEqual(expected);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
    const closing = processes.map(({ queue }) => queue.close({ deadlineMs: 1 }));
    await fake.settle(Promise.all(closing));
    expect(fake.pendingTimers).toBe(0);
  },
  TIMEOUT_MS,
);
