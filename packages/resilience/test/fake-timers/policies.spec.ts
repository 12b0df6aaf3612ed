import { afterEach, describe, expect, test, vi } from 'vitest';
import { type FakeTimers, scenarios } from './scenarios.ts';

const sets = {
  'the default': undefined,
  'without performance': ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  'setTimeout alone': ['setTimeout', 'clearTimeout'],
} as const;

afterEach(() => {
  vi.useRealTimers();
});

for (const [name, toFake] of Object.entries(sets)) {
  const timers: FakeTimers = {
    install: () =>
      void (toFake === undefined ? vi.useFakeTimers() : vi.useFakeTimers({ toFake: [...toFake] })),
    tick: (ms) => void vi.advanceTimersByTime(ms),
    clear: () => void vi.clearAllTimers(),
    restore: () => void vi.useRealTimers(),
  };
  describe(`Vitest fakes ${name}`, () => {
    for (const [scenario, run] of Object.entries(scenarios)) {
      test(scenario, async () => {
        await expect(run(timers)).resolves.toBeUndefined();
      });
    }
  });
}
