/** Which tests are to notice a wrong turn in which sources. */
export interface Target {
  readonly name: string;
  readonly sources: readonly string[];
  /** Matches the paths of its test files. */
  readonly tests: string;
}

export const targets: readonly Target[] = [
  { name: 'bulkhead', sources: ['bulkhead/bulkhead.ts'], tests: 'test/bulkhead' },
  { name: 'waiter', sources: ['waiter.ts'], tests: 'test/bulkhead' },
  {
    name: 'rate-limiter',
    sources: ['rate-limiter/rate-limiter.ts', 'rate-limiter/token-bucket.ts'],
    tests: 'test/rate-limiter',
  },
  {
    name: 'circuit-breaker',
    sources: [
      'breaker/circuit.ts',
      'breaker/circuit-state.ts',
      'breaker/result-window.ts',
      'breaker/executing-circuit.ts',
    ],
    tests: 'test/(breaker|stack)',
  },
  {
    name: 'retry',
    sources: ['retry/retry.ts', 'retry/retry-state.ts', 'retry/retry-budget.ts'],
    tests: 'test/retry',
  },
];

/**
 * Wrong turns that change nothing anybody could see, each with its reason. The text is the mutated line,
 * without its indentation, or the deleted one after a minus.
 */
export const harmless: ReadonlyMap<string, string> = new Map([
  [
    "if (true) announcer.announce('rejected', { name, reason });",
    'asking first only spares the event when nobody listens',
  ],
  [
    "if (last === undefined && !announcer.heard('retrying')) return;",
    'asking first only spares the event when nobody listens',
  ],
  [
    "if (kind === 'closed' && kind === 'metrics-only') return this.#generation;",
    'a closed circuit admits in the general case as well, which only takes longer',
  ],
  [
    'if (false) return this.#generation;',
    'a closed circuit admits in the general case as well, which only takes longer',
  ],
  ['if (true) armRefill();', 'the timer is armed anew for the same first in line'],
  ['-refill = undefined;', 'a timer that has fired or was cancelled is cancelled once more'],
  [
    'if (false) break;',
    'the compiler, not a test, rules out an empty line where a first one was seen',
  ],
  ['if (queued >= 0) admitNext();', 'nobody is in line, so nobody is taken from it'],
  ['if (true) admitNext();', 'nobody is in line, so nobody is taken from it'],
  [
    "signal?.addEventListener('abort', this, { once: false });",
    'a signal is aborted once in its life',
  ],
  ['} else if (true) {', 'a success that no window records is weighed, and found to be too little'],
  ["if (true) check(tokens, 'tryAcquire');", 'one token is always permitted'],
  [
    'if (true) this.#each = keeper(options.attemptTimeoutMs);',
    'what keeps the time of attempts is not asked where they have none',
  ],
  [
    'if (false) return work(signal, attemptNumber);',
    'an attempt without a time of its own is guarded against nothing, which only takes longer',
  ],
  ['if (true) this.leave(taken);', 'the compiler, not a test, rules out leaving without a place'],
]);
