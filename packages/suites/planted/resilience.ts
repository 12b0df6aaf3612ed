import type { PlantedBug } from './planted-bug.ts';

export const resilienceBugs: readonly PlantedBug[] = [
  {
    name: 'a closed stack is healthy',
    file: 'packages/resilience/src/stack/policy-stack.ts',
    sound: 'if (this.#isClosed) return CLOSED_HEALTH;',
    broken: '',
    tests: {
      path: 'packages/resilience/test/stack/stack-health',
      name: 'a closed stack with a bulkhead is critical',
    },
  },
  {
    name: 'pending timers stay with the fake timers of a test that is over',
    file: 'packages/foundation/src/timers/system-clock.ts',
    sound: 'for (const timer of this.#pending) timer.arm(',
    broken: 'for (const timer of [...this.#pending].slice(1_000)) timer.arm(',
    tests: { path: 'packages/resilience/test/fake-timers/', name: 'Jest fakes everything' },
  },
  {
    name: 'a shared deadline relies on a faked timer that a test has cleared',
    file: 'packages/foundation/src/deadlines/deadline-queue.ts',
    sound: 'else this.#timer.rearm?.();',
    broken: 'else void 0;',
    tests: { path: 'packages/resilience/test/fake-timers/', name: 'cleared' },
  },
  {
    name: 'each call adds a listener of its own to the signal',
    file: 'packages/foundation/src/signals.ts',
    sound: 'if (this.#list.size === 0 && this.#follower === undefined) this.#listen(signal);',
    broken: "signal.addEventListener('abort', (event) => this.#notify(event));",
    tests: { path: 'packages/resilience/test/calls/many-calls', name: 'leave no listener' },
  },
  {
    name: 'a promise of the user counts as a yes',
    file: 'packages/resilience/src/decision.ts',
    sound: 'if (!isThenable(value)) return accept(value);',
    broken: 'if (ask.length === 0) return accept(value);',
    tests: { path: 'packages/resilience/test/calls/user-callbacks', name: 'awaited' },
  },
  {
    name: 'the status of got is not seen',
    file: 'packages/resilience/src/classify/http-status.ts',
    sound: "    statusWithin(error, 'response', 'statusCode') ??\n",
    broken: '',
    tests: { path: 'suites/test/client-errors/http-clients', name: 'got: a 404 is not retried' },
  },
  {
    name: 'a serialization failure opens the circuit',
    file: 'packages/resilience/src/breaker/circuit-options.ts',
    sound: " || decisive === 'conflict'",
    broken: '',
    tests: { path: 'packages/resilience/test/breaker/circuit-breaker.test', name: 'conflict' },
  },
  {
    name: 'a Retry-After behind a cause is not seen',
    file: 'packages/foundation/src/backoff/retry-after.ts',
    sound: 'for (const inspected of errorChain(error)) {',
    broken: 'for (const inspected of [Object(error)]) {',
    tests: { path: 'packages/resilience/test/classify-error', name: 'wherever clients put it' },
  },
  {
    name: 'a fallback that never settles holds a call for ever',
    file: 'packages/resilience/src/stack/policy-stack.ts',
    sound: 'if (!(found instanceof Promise)) return found;',
    broken: 'if (Object(found) === found || found === undefined) return found;',
    tests: {
      path: 'packages/resilience/test/calls/endless-callbacks',
      name: 'shouldFallBack of a stack that never settles',
    },
  },
  {
    name: 'a failure that is still being judged holds its slot of an adaptive limit',
    file: 'packages/resilience/src/adaptive/adaptive-limit.ts',
    sound: 'if (!end()) return;\n        const endedMs',
    broken: 'if (!(dropped instanceof Promise) && !end()) return;\n        const endedMs',
    tests: {
      path: 'packages/resilience/test/calls/endless-callbacks',
      name: 'an isDrop that never settles holds no slot',
    },
  },
  {
    name: 'a refusal of a further attempt hides that the first may have taken effect',
    file: 'packages/resilience/src/stack/stack-retries.ts',
    sound: "return hasStarted ? { kind: 'failure', error: state.refused(error) } : outcome;",
    broken: 'return outcome;',
    tests: { path: 'packages/resilience/test/calls/outcome-of', name: 'refusal by the circuit' },
  },
  {
    name: 'a retry budget refills by the wall clock',
    file: 'packages/resilience/src/retry/retry-budget.ts',
    sound: 'const nowMs = clock.now();',
    broken: 'const nowMs = clock.epochMs();',
    tests: { path: 'packages/resilience/test/calls/wall-clock', name: 'a retry budget' },
  },
  {
    name: 'a wrapper hides that the outcome is unknown, and the call is repeated',
    file: 'packages/resilience/src/classify/decisive-errors.ts',
    sound: 'for (const inner of innerErrorsOf(next).toReversed()) {',
    broken: 'for (const inner of innerErrorsOf(next).slice(1_000)) {',
    tests: { path: 'packages/resilience/test/wrapped-errors', name: 'never retried' },
  },
];
