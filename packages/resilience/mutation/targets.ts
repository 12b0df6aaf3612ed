/** Which tests must notice a fault in which sources. */
export interface Target {
  readonly name: string;
  readonly sources: readonly string[];
  /** Matches the paths of its test files. */
  readonly tests: string;
}

export const targets: readonly Target[] = [
  { name: 'bulkhead', sources: ['bulkhead/create-bulkhead.ts'], tests: 'test/bulkhead' },
  { name: 'waiter', sources: ['waiter.ts'], tests: 'test/bulkhead' },
  {
    name: 'rate-limiter',
    sources: ['rate-limiter/create-rate-limiter.ts', 'rate-limiter/token-bucket.ts'],
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
 * Mutants without a visible effect, each with its reason. The text is the mutated line, without its indentation,
 * or the deleted one after a minus.
 */
export const harmless: ReadonlyMap<string, string> = new Map([
  [
    "if (true) this.#emitter.emit('rejected', { name, reason });",
    'the condition only avoids creating an event without a listener',
  ],
  [
    "if (last === undefined && !emitter.hasListeners('retrying')) return;",
    'the condition only avoids creating an event without a listener',
  ],
  [
    "if (kind === 'closed' && kind === 'metrics-only') return this.#generation;",
    'a closed circuit admits in the general case as well, which only takes longer',
  ],
  [
    'if (false) return this.#generation;',
    'a closed circuit admits in the general case as well, which only takes longer',
  ],
  ['if (true) this.#armRefill();', 'the timer is armed again for the same first call'],
  ['-this.#refill = undefined;', 'a timer that has fired or was canceled is canceled again'],
  ['if (this.#queued >= 0) this.#admitNext();', 'the queue is empty, so no call is taken from it'],
  ['if (true) this.#admitNext();', 'the queue is empty, so no call is taken from it'],
  ["signal?.addEventListener('abort', this, { once: false });", 'a signal aborts only once'],
  ['} else if (true) {', 'a success that no window records is checked, and reaches no threshold'],
  ["if (true) this.#check(tokens, 'tryAcquire');", 'one token is always permitted'],
  [
    'if (true) this.#perAttempt = createKeeper(options.attemptTimeoutMs);',
    'the deadlines of attempts are not used without an attempt timeout',
  ],
  [
    'if (false) return work(signal, attemptNumber);',
    'an attempt without a timeout is guarded without effect, which only takes longer',
  ],
]);
