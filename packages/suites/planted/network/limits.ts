import type { PlantedBug } from '../planted-bug.ts';

const LIMITS = 'packages/network/src/limits';
const TESTS = 'packages/network/test/limits';

export const networkLimitsBugs: readonly PlantedBug[] = [
  {
    name: 'a small reservation overtakes a large one that waits',
    file: `${LIMITS}/budget/create-budget.ts`,
    sound: 'if ((amounts[resource] ?? 0) > 0 && (earlier[resource] ?? 0) > 0) return undefined;',
    broken: '',
    tests: { path: `${TESTS}/budget`, name: 'in the order of their calls' },
  },
  {
    name: 'an idle descriptor is evicted although it is in use again',
    file: `${LIMITS}/descriptors/create-descriptor-pool.ts`,
    sound: '    opened.leases += 1;\n    this.#idle.delete(opened);',
    broken: '    opened.leases += 1;\n    this.#idle.add(opened);',
    tests: { path: `${TESTS}/descriptor-pool`, name: 'what is in use is never closed' },
  },
  {
    name: 'a name that was not found for want of a descriptor is believed',
    file: `${LIMITS}/descriptors/create-descriptor-pool.ts`,
    sound: 'this.#exhausted !== before || isExhausted()',
    broken: 'isExhausted()',
    tests: { path: `${TESTS}/descriptor-pool`, name: 'is asked for again' },
  },
  {
    name: 'memory is judged by a limit that includes the young generation',
    file: `${LIMITS}/memory/memory-readings.ts`,
    sound: 'return Math.min(heapLimitBytes, oldSpace * MIB);',
    broken: 'return heapLimitBytes;',
    tests: { path: `${TESTS}/memory-guard`, name: 'judged by its own limit' },
  },
  {
    name: 'bytes that are admitted do not count for the next admission',
    file: `${LIMITS}/memory/memory-guard.ts`,
    sound: 'const reservation = await this.#budget.reserve({ bytes: wanted }, options);',
    broken: 'const reservation = await this.#budget.reserve({ bytes: 0 }, options);',
    tests: { path: `${TESTS}/memory-guard`, name: 'a burst within one turn' },
  },
  {
    name: 'a file is written in place',
    file: `${LIMITS}/disk/replace-file.ts`,
    sound: "const file = await open(draft, 'wx', mode);",
    broken: "const file = await open(target, 'w', mode);",
    tests: { path: `${TESTS}/disk-guard`, name: 'replaced as a whole' },
  },
  {
    name: 'a full disk takes writes again at its first free byte',
    file: `${LIMITS}/disk/disk-guard.ts`,
    sound: 'this.#isFull ? free < resumeAt : free < refuseBelow',
    broken: 'free < refuseBelow',
    tests: { path: `${TESTS}/disk-guard`, name: 'from 15 % on' },
  },
  {
    name: 'the oldest waiting call is served first',
    file: `${LIMITS}/overload/overload-gate.ts`,
    sound: 'const next = this.#stack.pop();',
    broken: 'const next = this.#stack.shift();',
    tests: { path: `${TESTS}/overload-gate`, name: 'the newest call is served first' },
  },
  {
    name: 'a block of the event loop that no timer has seen is lost',
    file: `${LIMITS}/overload/loop-delay.ts`,
    sound: 'if (pendingMs > 0) {',
    broken: 'if (pendingMs < 0) {',
    tests: { path: `${TESTS}/loop-delay`, name: 'a block right after a reading' },
  },
];
