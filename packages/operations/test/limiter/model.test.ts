import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createDistributedRateLimiter } from '@holdfast/operations';
import { FakeRateServer } from './fake-rate-store.ts';

const ROUNDS = Number(process.env['HOLDFAST_RUNS'] ?? 30);
const WINDOW_MS = 10_000;
const STEP_MS = 20;
const STEPS = 2_000;
const KEY = 'user-7';

/** The most admissions in any window. */
function mostInWindow(atMs: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [last, endMs] of atMs.entries()) {
    while (endMs - (atMs[first] ?? endMs) >= WINDOW_MS) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

interface Round {
  readonly seed: number;
  readonly most: number;
  readonly bound: number;
  readonly admitted: number;
  readonly byShare: number;
}

/** One storm: instances ask as often as they like while their store is killed, frozen and restarted. */
async function round(seed: number): Promise<Round> {
  const random = seededRandom(seed);
  const below = (end: number): number => Math.floor(random() * end);
  const clock = createFakeClock();
  const server = new FakeRateServer(clock);
  const instances = 1 + below(50);
  const burst = instances + below(100);
  const limit = 20 + below(400);
  const limiters = Array.from({ length: instances }, () =>
    createDistributedRateLimiter({
      store: server.connect(),
      clock,
      limit,
      windowMs: WINDOW_MS,
      burst,
      instances,
    }),
  );
  const admittedAtMs: number[] = [];
  const events = [
    () => server.kill(),
    () => server.start('as-it-was'),
    () => server.start('older'),
    () => server.start('none'),
    () => server.freeze(),
    () => server.thaw(),
    () => server.save(),
  ];
  for (let step = 0; step < STEPS; step += 1) {
    if (random() < 0.02) events[below(events.length)]?.();
    // Now and then nobody asks, so that there is something to burst with.
    const isQuiet = Math.floor(step / 300) % 3 === 2;
    const asking = isQuiet ? 0 : below(12);
    for (let count = 0; count < asking; count += 1) {
      const limiter = limiters[below(instances)];
      void limiter?.consume(KEY).then(({ kind }) => {
        if (kind === 'allowed') admittedAtMs.push(clock.now());
      });
    }
    await clock.advance(STEP_MS);
  }
  const byShare = limiters.reduce((sum, limiter) => sum + limiter.getStats().allowedByShare, 0);
  const most = mostInWindow(admittedAtMs);
  return { seed, most, bound: limit + burst, admitted: admittedAtMs.length, byShare };
}

test('no window has more than limit and one burst, whatever becomes of the store', async () => {
  const broken: Round[] = [];
  const total = { admitted: 0, byShare: 0, nearest: 0 };
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    const result = await round(seed);
    if (result.most > result.bound) broken.push(result);
    total.admitted += result.admitted;
    total.byShare += result.byShare;
    total.nearest = Math.max(total.nearest, result.most / result.bound);
  }
  expect(broken).toEqual([]);
  // The storm reached both ways of counting, and came near the bound.
  expect(total.byShare).toBeGreaterThan(ROUNDS);
  expect(total.admitted - total.byShare).toBeGreaterThan(ROUNDS);
  expect(total.nearest).toBeGreaterThan(0.6);
});
