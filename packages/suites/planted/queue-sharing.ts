import type { PlantedBug } from './planted-bug.ts';

const SCHEDULES = 'packages/queue/test/schedules/schedules';
const LIMITS = 'redis-failover/sharing/limits';
const CONTRACT = 'packages/queue/test/contract';

export const queueSharingBugs: readonly PlantedBug[] = [
  {
    name: 'each process makes a job of its own of a tick',
    file: 'packages/queue/src/schedules/schedules.ts',
    sound: 'return `schedule ${name} ${tickMs}`;',
    broken: 'return `schedule ${name} ${process.hrtime.bigint()} ${tickMs}`;',
    tests: { path: 'redis-failover/sharing/schedules', name: 'one job of each tick' },
  },
  {
    name: 'a process whose clock is ahead silences the schedules of the others',
    file: 'packages/queue/src/schedules/schedule-store.ts',
    sound: 'const tickMs = Math.min(notice.tickMs, serverMs + LATE_MS);',
    broken: 'const { tickMs } = notice;',
    tests: { path: SCHEDULES, name: 'does not silence the others' },
  },
  {
    name: 'a process ticks by its own wall clock',
    file: 'packages/queue/src/schedules/schedule-time.ts',
    sound: 'return this.#clock.now() + this.#offsetMs;',
    broken: 'return this.#clock.epochMs();',
    tests: { path: SCHEDULES, name: 'goes by the time of Redis' },
  },
  {
    name: 'ticks that were missed are made up for without a bound of their policy',
    file: 'packages/queue/src/schedules/missed-ticks.ts',
    sound: 'issue: most === 0 ? [] : late.slice(-most)',
    broken: 'issue: late',
    tests: { path: SCHEDULES, name: 'while no process ran' },
  },
  {
    name: 'each process has a rate of its own',
    file: 'packages/queue/src/redis/coordination/limit-store.ts',
    sound: '      start(topic)\n',
    broken: '',
    tests: { path: LIMITS, name: 'share 20 jobs a second' },
  },
  {
    name: 'one job more than there are slots runs',
    file: 'packages/queue/src/redis/coordination/limit-store.ts',
    sound: 'state.taken >= limit.most',
    broken: 'state.taken > limit.most',
    tests: { path: LIMITS, name: 'share two slots' },
  },
  {
    name: 'a job that waits under a limit starts although it was cancelled',
    file: 'packages/queue/src/limits/limited-subscription.ts',
    sound: 'if (ended.length > 0) await this.#inner.acknowledge(ended);',
    broken: 'ended.length = 0;',
    tests: { path: CONTRACT, name: 'never starts once it is cancelled' },
  },
  {
    name: 'a job that waits under a limit starts although its topic is paused',
    file: 'packages/queue/src/limits/limited-subscription.ts',
    sound: 'return isPaused;',
    broken: 'return isPaused && false;',
    tests: { path: CONTRACT, name: 'nor while its topic is paused' },
  },
  {
    name: 'a job that has expired is dropped without a word',
    file: 'packages/queue/src/windows/expiry.ts',
    sound: 'if (dropped.delete(delivery.handle)) report(delivery, deps);',
    broken: 'dropped.delete(delivery.handle);',
    tests: { path: CONTRACT, name: 'has expired is not handled' },
  },
  {
    name: 'an expired job that another consumer has taken over is reported by both',
    file: 'packages/queue/src/windows/expiry.ts',
    sound: 'for (const handle of recovered.lost) dropped.delete(handle);',
    broken: '',
    tests: { path: 'packages/queue/test/windows/expiry', name: 'not reported by both' },
  },
  {
    name: 'jobs of two windows that arrive at once are merged',
    file: 'packages/queue/src/redis/scripts/debounce-script.ts',
    sound: 'if not since or math.abs(since) >= debounce.windowMs then return false end',
    broken: 'if not since then return false end',
    tests: { path: 'redis-failover/sharing/windows', name: 'merged and dropped' },
  },
];
