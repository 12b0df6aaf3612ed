import type { PlantedBug } from '../planted-bug.ts';

export const operationsServiceBugs: readonly PlantedBug[] = [
  {
    name: 'what fails for the whole fleet makes every instance unready',
    file: 'packages/operations/src/health/judge.ts',
    sound: "return status === 'fail' && critical && !isFleetWide;",
    broken: "return status === 'fail' && critical && !(isFleetWide && !critical);",
    tests: { path: 'packages/operations/test/health/health', name: 'most of the fleet' },
  },
  {
    name: 'a health check that hangs is waited for',
    file: 'packages/operations/src/health/component.ts',
    sound: 'resolve(failure(error.message));',
    broken: '',
    tests: { path: 'packages/operations/test/health/health', name: 'a hung check is a failure' },
  },
  {
    name: 'a step of a drain that hangs takes the time of the later ones',
    file: 'packages/operations/src/health/drain.ts',
    sound: 'const budgetMs = leftMs - reservedMs * (used.length - 1 - index);',
    broken: 'const budgetMs = leftMs + 0 * (reservedMs * index);',
    tests: { path: 'packages/operations/test/health/drain', name: 'leaves the later ones' },
  },
  {
    name: 'a frozen process is called stalled by the time of the machine',
    file: 'packages/operations/src/health/server/stall.ts',
    sound: 'const passedMs = Math.min(nowMs - state.tickedMs, tickMs * 2);',
    broken: 'const passedMs = Math.max(nowMs - state.tickedMs, tickMs);',
    tests: { path: 'packages/operations/test/health/adapters', name: 'late itself proves little' },
  },
  {
    name: 'a share begins with a burst that the store has spent',
    file: 'packages/operations/src/limiter/create-rate-limiter.ts',
    sound: 'if (nowMs >= this.#countsFromMs) this.#share.begin(nowMs);',
    broken: '',
    tests: { path: 'packages/operations/test/limiter/model', name: 'limit and one burst' },
  },
  {
    name: 'a load that rises gives back what was spent',
    file: 'packages/operations/src/limiter/create-rate-limiter.ts',
    sound:
      'const slowed = (rate: Rate): Rate => ({ ...rate, intervalMs: rate.intervalMs / factor });',
    broken:
      'const slowed = (rate: Rate): Rate => ({ intervalMs: rate.intervalMs / factor, toleranceMs: rate.toleranceMs / factor });',
    tests: { path: 'packages/operations/test/limiter/rate-limiter', name: 'gives nothing back' },
  },
  {
    name: 'dependents of a feature are told of changes that are none',
    file: 'packages/operations/src/degradation/create-degradation.ts',
    sound: 'if (from === to) continue;',
    broken: "if (from === to && to === 'on') continue;",
    tests: { path: 'packages/operations/test/degradation/degradation', name: 'at no other time' },
  },
  {
    name: 'under overload the oldest request is served first',
    file: 'packages/operations/src/shedding/create-load-shedder.ts',
    sound: 'const request = this.#delay.isOverloaded ? queue.pop() : queue.first;',
    broken: 'const request = queue.first;',
    tests: { path: 'packages/operations/test/shedding/shedding', name: 'the newest is served' },
  },
];
