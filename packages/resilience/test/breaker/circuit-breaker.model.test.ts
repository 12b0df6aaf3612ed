import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { type Clock, type Random, seededRandom } from '@holdfast/foundation';
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitPermit,
  createCircuitBreaker,
} from '@holdfast/resilience';
import { CircuitModel, modelRules } from './circuit-model.ts';

const failure = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

/** A clock moved by assignment: a million steps have no time to await anything. */
class HandClock implements Clock {
  nowMs = 0;
  wallOffsetMs = 1_700_000_000_000;

  now(): number {
    return this.nowMs;
  }

  epochMs(): number {
    return this.nowMs + this.wallOffsetMs;
  }

  schedule(): never {
    throw new Error('a breaker has no timer');
  }
}

interface Flight {
  readonly permit: CircuitPermit;
  readonly generation: number;
  readonly startedMs: number;
}

/** One random run of the breaker beside its model. */
class Run {
  readonly clock = new HandClock();
  readonly breaker: CircuitBreaker;
  readonly model: CircuitModel;
  readonly flights: Flight[] = [];
  readonly settled = { successes: 0, failures: 0, neutral: 0, late: 0, refused: 0 };
  readonly #random: Random;
  readonly #options: CircuitBreakerOptions;

  constructor(options: CircuitBreakerOptions, seed: number) {
    this.#random = seededRandom(seed);
    this.#options = options;
    this.breaker = createCircuitBreaker({ ...options, clock: this.clock });
    this.model = new CircuitModel(modelRules(options));
    this.breaker.on('stateChanged', () => {
      throw new Error('broken listener');
    });
  }

  step(): string {
    const draw = this.#random();
    if (draw < 0.4) return this.#start();
    if (draw < 0.85) return this.#finish();
    if (draw < 0.97) return this.#passTime();
    if (draw < 0.985) return this.#stepWallClock();
    if (draw < 0.998) return 'nothing';
    return this.#intervene();
  }

  /** What must hold after every step. */
  check(): void {
    const { breaker, model, settled } = this;
    const stats = breaker.getStats();
    equal('state', stats.state, model.kind);
    equal('consecutiveFailures', stats.consecutiveFailures, model.consecutiveFailures);
    equal('openings', stats.openings, model.openings);
    const window = model.window(this.clock.nowMs);
    equal('window calls', stats.window.calls, window.length);
    equal('window failures', stats.window.failures, window.filter(({ failed }) => failed).length);
    equal('window slow calls', stats.window.slowCalls, window.filter(({ slow }) => slow).length);
    // Every permit that was answered is counted exactly once, and no other.
    equal('successes', stats.successCount, settled.successes);
    equal('failures', stats.failureCount, settled.failures);
    equal('neutral', stats.neutralCount, settled.neutral);
    equal('late', stats.lateCount, settled.late);
    equal('refused', stats.rejectedCount, settled.refused);
    if (model.kind === 'half-open') {
      const out = this.flights.filter(({ generation }) => generation === model.generation).length;
      const places = out + model.results.length;
      const permitted = this.#options.halfOpenMaxCalls ?? 1;
      if (places > permitted) throw new Error(`${places} probes, permitted are ${permitted}`);
    }
  }

  #start(): string {
    // Synchronous by its type: no caller can wait here.
    const permit = this.breaker.tryAcquire();
    const generation = this.model.admit(this.clock.nowMs);
    equal('granted', permit.granted, generation !== -1);
    if (permit.granted) {
      if (this.flights.length > 40) this.flights.shift();
      this.flights.push({ permit, generation, startedMs: this.clock.nowMs });
    } else {
      this.settled.refused += 1;
    }
    return permit.granted ? 'start' : 'refused';
  }

  #finish(): string {
    const index = Math.floor(this.#random() * this.flights.length);
    const [flight] = this.flights.splice(index, 1);
    if (flight === undefined) return 'nothing to finish';
    const { permit, generation, startedMs } = flight;
    const durationMs = this.clock.nowMs - startedMs;
    const late = generation !== this.model.generation;
    const draw = this.#random();
    let action: string;
    if (draw < 0.45) {
      permit.success(durationMs);
      this.model.finish(generation, this.clock.nowMs, false, durationMs);
      action = 'success';
    } else if (draw < 0.85) {
      permit.failure(failure, durationMs);
      this.model.finish(generation, this.clock.nowMs, true, durationMs);
      action = 'failure';
    } else {
      permit.release();
      this.model.release(generation);
      action = 'abort';
    }
    if (late) this.settled.late += 1;
    else if (action === 'success') this.settled.successes += 1;
    else if (action === 'failure') this.settled.failures += 1;
    else this.settled.neutral += 1;
    if (this.#random() < 0.1) {
      permit.failure(failure);
      permit.success();
      permit.release();
    }
    return `${action} of generation ${generation}`;
  }

  #passTime(): string {
    const longMs = this.#random() < 0.05 ? 40_000 : 400;
    const byMs = Math.floor(this.#random() * longMs);
    this.clock.nowMs += byMs;
    return `${byMs} ms pass`;
  }

  #stepWallClock(): string {
    this.clock.wallOffsetMs += (this.#random() - 0.5) * 7_200_000;
    return 'the wall clock steps';
  }

  #intervene(): string {
    const draw = this.#random();
    if (draw < 0.2) {
      this.breaker.isolate();
      this.model.isolate();
      return 'isolate';
    }
    if (draw < 0.4) {
      this.breaker.observe();
      this.model.observe();
      return 'observe';
    }
    if (draw < 0.5) {
      this.breaker.forceOpen();
      this.model.forceOpen(this.clock.nowMs);
      return 'forceOpen';
    }
    this.breaker.reset();
    this.model.reset();
    return 'reset';
  }
}

function equal(what: string, seen: unknown, expected: unknown): void {
  if (seen !== expected) throw new Error(`${what}: ${String(seen)}, expected ${String(expected)}`);
}

beforeEach(() => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});

afterEach(() => {
  jest.restoreAllMocks();
});

const STEPS = 180_000;

test.each<[string, number, CircuitBreakerOptions]>([
  ['consecutive failures', 1, { failureThreshold: 3, openDurationMs: 500 }],
  [
    'consecutive failures, three probes, growing openings',
    2,
    {
      failureThreshold: 2,
      openDurationMs: 300,
      openDurationMultiplier: 2,
      maxOpenDurationMs: 2_000,
      halfOpenMaxCalls: 3,
      probeTimeoutMs: 1_500,
    },
  ],
  [
    'the last calls',
    3,
    { windowCalls: 20, minimumCalls: 10, openDurationMs: 400, halfOpenMaxCalls: 4 },
  ],
  [
    'the last calls, slow ones too',
    4,
    {
      windowCalls: 30,
      minimumCalls: 5,
      failureRateThreshold: 0.8,
      slowCallMs: 600,
      slowCallRateThreshold: 0.6,
      openDurationMs: 400,
      halfOpenMaxCalls: 5,
      probeTimeoutMs: 2_000,
    },
  ],
  [
    'the last seconds',
    5,
    { windowMs: 2_000, minimumCalls: 8, failureRateThreshold: 0.6, openDurationMs: 250 },
  ],
  [
    'the last seconds and consecutive failures',
    6,
    {
      windowMs: 5_000,
      minimumCalls: 20,
      failureThreshold: 6,
      openDurationMs: 250,
      halfOpenMaxCalls: 2,
      probeTimeoutMs: 700,
    },
  ],
])(
  'judging by %s (seed %d), the breaker does what its model does, whatever happens in whatever order',
  (_name, seed, options) => {
    const run = new Run(options, seed);
    const visited = new Set<string>();
    const trail: string[] = [];
    for (let step = 0; step < STEPS; step += 1) {
      trail.push(run.step());
      if (trail.length > 12) trail.shift();
      visited.add(run.breaker.state);
      try {
        run.check();
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}, after: ${trail.join('; ')}`, { cause: error });
      }
    }
    expect([...visited].toSorted((a, b) => a.localeCompare(b))).toEqual([
      'closed',
      'half-open',
      'isolated',
      'metrics-only',
      'open',
    ]);
    expect(Math.min(...Object.values(run.settled))).toBeGreaterThan(100);
  },
  60_000,
);

test('every call of a random run (seed 7) settles exactly once, with what became of its work', async () => {
  const random = seededRandom(7);
  const clock = new HandClock();
  const breaker = createCircuitBreaker({
    failureThreshold: 2,
    openDurationMs: 50,
    halfOpenMaxCalls: 2,
    probeTimeoutMs: 200,
    clock,
  });
  const held: { settle: () => void; controller: AbortController }[] = [];
  const seen: string[] = [];
  const expected: string[] = [];
  for (let step = 0; step < 30_000; step += 1) {
    const draw = random();
    if (draw < 0.5) {
      const id = expected.length;
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const controller = new AbortController();
      let started = false;
      const work = (): Promise<number> => {
        started = true;
        return promise;
      };
      const fails = random() < 0.4;
      void breaker.tryExecute(work, { signal: controller.signal }).then((outcome) => {
        seen[id] = (seen[id] ?? '') + outcome.kind;
      });
      expected[id] = started ? 'pending' : 'refused';
      if (started) {
        held.push({
          controller,
          settle: () => {
            if (fails) reject(failure);
            else resolve(id);
            const settled = fails ? 'failure' : 'value';
            expected[id] = controller.signal.aborted ? 'aborted' : settled;
          },
        });
      }
    } else if (draw < 0.9) {
      const [call] = held.splice(Math.floor(random() * held.length), 1);
      if (random() < 0.2) call?.controller.abort();
      call?.settle();
    } else {
      clock.nowMs += random() * 60;
    }
    if (step % 16 === 0) await Promise.resolve();
  }
  for (const call of held) call.settle();
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(seen).toEqual(expected);
  expect(new Set(expected)).toEqual(new Set(['value', 'failure', 'aborted', 'refused']));
});
