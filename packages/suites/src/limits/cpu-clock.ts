import { type Clock, systemClock } from '@holdfast/foundation';

/**
 * A clock that counts the processor time of this process, and lets it pass while nothing else is to be done: what is
 * measured by it does not depend on what else the machine does.
 */
export function startCpuClock(): Clock & { stop(): void } {
  const pending = new Set<{ readonly dueMs: number; readonly fire: () => void }>();
  let stopped = false;
  const now = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  const tick = (): void => {
    const nowMs = now();
    for (const timer of pending) {
      if (timer.dueMs > nowMs) continue;
      pending.delete(timer);
      timer.fire();
    }
    if (!stopped) setImmediate(tick);
  };
  setImmediate(tick);
  return {
    now,
    epochMs: () => systemClock.epochMs(),
    schedule(delayMs, fire) {
      const timer = { dueMs: now() + delayMs, fire };
      pending.add(timer);
      return { cancel: () => void pending.delete(timer) };
    },
    stop: () => void (stopped = true),
  };
}
