import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createLoopDelayProbe } from '@holdfast/network/limits';

/** A clock whose time passes without timers, as while the event loop is blocked. */
function blockableClock() {
  const fake = createFakeClock();
  let blockedMs = 0;
  return {
    block: (forMs: number): void => void (blockedMs += forMs),
    advance: (byMs: number): Promise<void> => fake.advance(byMs),
    now: (): number => fake.now() + blockedMs,
    epochMs: (): number => fake.epochMs(),
    schedule: (delayMs: number, fire: () => void) => fake.schedule(delayMs, fire),
  };
}

test('a block right after a reading is in the next one, whether or not a timer has seen it', async () => {
  const clock = blockableClock();
  const probe = createLoopDelayProbe({ intervalMs: 20, clock });
  await clock.advance(100);
  expect(probe.read()).toMatchObject({ maxMs: 0, probes: 5 });
  clock.block(300);
  // Still in the turn of the block: no timer has fired.
  expect(probe.read().maxMs).toBe(280);
  await clock.advance(20);
  // Only what was not read yet.
  expect(probe.read().maxMs).toBe(20);
  expect(probe.total.maxMs).toBe(300);
  probe.read();
  clock.block(300);
  await clock.advance(20);
  expect(probe.read().maxMs).toBe(300);
  probe.close();
});

test('no sum of blocks is lost or counted twice, however often it is read', async () => {
  const clock = blockableClock();
  const probe = createLoopDelayProbe({ intervalMs: 10, clock });
  let sumMs = 0;
  for (let turn = 0; turn < 50; turn += 1) {
    clock.block(turn % 7);
    if (turn % 3 === 0) sumMs += readSum();
    await clock.advance(10);
    if (turn % 2 === 0) sumMs += readSum();
  }
  sumMs += readSum();
  const blockedMs = Array.from({ length: 50 }, (_, turn) => turn % 7).reduce((a, b) => a + b, 0);
  expect(Math.round(sumMs)).toBe(blockedMs);
  probe.close();

  function readSum(): number {
    const { meanMs, probes } = probe.read();
    return meanMs * probes;
  }
});

test('createLoopDelayProbe names the option that is wrong', () => {
  expect(() => createLoopDelayProbe({ intervalMs: 0 })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'intervalMs' }),
  );
});
