import { expect, test, vi } from 'vitest';
import { type FakeTimers, scenarios } from './scenarios.ts';

const timers: FakeTimers = {
  // Not `setImmediate`: what a client has queued by it is lost when the timers are restored.
  install: () =>
    void vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    }),
  tick: (ms) => void vi.advanceTimersByTime(ms),
  clear: () => void vi.clearAllTimers(),
  restore: () => void vi.useRealTimers(),
};

test.each(Object.entries(scenarios))('%s', { timeout: 60_000 }, async (_, play) => {
  await expect(play(timers)).resolves.toBeUndefined();
});
