import { deepEqual, equal, rejects } from 'node:assert/strict';
import {
  createBulkhead,
  createCircuitBreaker,
  createHedge,
  createRateLimiter,
  createResilienceStack,
  createTimeout,
  retry,
  withTimeout,
} from '@holdfast/resilience';

/** The fake timers of one library. */
export interface FakeTimers {
  install(): void;
  /** Advances the faked time. */
  tick(ms: number): void;
  /** Drops every pending timer, and goes on faking. */
  clear(): void;
  restore(): void;
}

const never = (): Promise<never> => new Promise(() => undefined);
const down = async (): Promise<never> => {
  throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
};
const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : error;

/** Lets promises settle without any timer, because those are faked. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
}

function watched(promise: Promise<unknown>): { outcome: unknown } {
  const state: { outcome: unknown } = { outcome: 'pending' };
  promise.then(
    (value) => (state.outcome = value),
    (error: unknown) => (state.outcome = codeOf(error)),
  );
  return state;
}

/** A real time that is over long before the limit of the test. */
const SHORT_MS = 20;
const LIMIT_MS = 5_000;

async function timesOutForReal(work: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('it never timed out')), LIMIT_MS);
  });
  await rejects(Promise.race([work(), limit]), { code: 'RESILIENCE_TIMEOUT' });
  clearTimeout(timer);
}

async function timesOutAtTick(timers: FakeTimers, work: () => Promise<unknown>): Promise<void> {
  const call = watched(work());
  timers.tick(SHORT_MS - 1);
  await settle();
  equal(call.outcome, 'pending');
  timers.tick(1);
  await settle();
  equal(call.outcome, 'RESILIENCE_TIMEOUT');
}

interface Shared {
  readonly name: string;
  readonly create: () => () => Promise<unknown>;
}

/** Policies whose calls share a timer. */
const sharing: readonly Shared[] = [
  {
    name: 'timeout',
    create: () => {
      const timeout = createTimeout({ timeoutMs: SHORT_MS });
      return () => timeout.execute(never);
    },
  },
  {
    name: 'stack',
    create: () => {
      const stack = createResilienceStack({ timeoutMs: SHORT_MS });
      return () => stack.execute(never);
    },
  },
  {
    name: 'retry',
    create: () => () =>
      retry(never, { timeoutMs: SHORT_MS }).catch((error: unknown) => {
        throw typeof error === 'object' && error !== null ? Reflect.get(error, 'cause') : error;
      }),
  },
  {
    name: 'withTimeout',
    create: () => () => withTimeout(never, { timeoutMs: SHORT_MS }),
  },
  {
    name: 'bulkhead',
    create: () => {
      const bulkhead = createBulkhead({ maxConcurrent: 1, queueTimeoutMs: SHORT_MS });
      bulkhead.tryAcquire();
      return () =>
        bulkhead.acquire().catch((error: unknown) => {
          throw Object.assign(new Error('waited', { cause: error }), {
            code: codeOf(error) === 'RESILIENCE_BULKHEAD_TIMEOUT' ? 'RESILIENCE_TIMEOUT' : '?',
          });
        });
    },
  },
];

type Scenario = (timers: FakeTimers) => Promise<void>;

/** What must hold with the timers of every library, whatever else it fakes beside `setTimeout`. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  ...Object.fromEntries(
    sharing.map(({ name, create }) => [`${name}: faked, then real`, fakedThenReal(create)]),
  ),
  ...Object.fromEntries(
    sharing.map(({ name, create }) => [`${name}: real, then faked`, realThenFaked(create)]),
  ),
  ...Object.fromEntries(
    sharing.map(({ name, create }) => [`${name}: faked twice`, fakedTwice(create)]),
  ),
  ...Object.fromEntries(sharing.map(({ name, create }) => [`${name}: cleared`, cleared(create)])),
  ...Object.fromEntries(
    sharing.map(({ name, create }) => [
      `${name}: restored while armed`,
      restoredWhileArmed(create),
    ]),
  ),
  'an open circuit admits a probe after its faked time': async (timers) => {
    timers.install();
    const breaker = createCircuitBreaker({ failureThreshold: 1, openDurationMs: 60_000 });
    await breaker.execute(down).catch(() => undefined);
    timers.tick(59_999);
    equal(breaker.tryAcquire().granted, false);
    timers.tick(1);
    equal(breaker.tryAcquire().granted, true);
    timers.restore();
  },
  'a circuit opened in faked time admits a probe after the rest in real time': async (timers) => {
    timers.install();
    const breaker = createCircuitBreaker({ failureThreshold: 1, openDurationMs: 1_000 });
    await breaker.execute(down).catch(() => undefined);
    timers.tick(999);
    equal(breaker.tryAcquire().granted, false);
    timers.restore();
    await new Promise((resolve) => {
      setTimeout(resolve, SHORT_MS);
    });
    equal(breaker.tryAcquire().granted, true);
  },
  'a retry waits in faked time': async (timers) => {
    timers.install();
    let attempts = 0;
    const work = (): Promise<string> => {
      attempts += 1;
      return attempts < 3 ? down() : Promise.resolve('up');
    };
    const call = watched(retry(work, { initialDelayMs: 1_000, jitterFactor: 0 }));
    for (const delayMs of [1_000, 2_000]) {
      await settle();
      timers.tick(delayMs - 1);
      await settle();
      equal(call.outcome, 'pending');
      timers.tick(1);
    }
    await settle();
    equal(call.outcome, 'up');
    timers.restore();
  },
  'a limiter refills in faked time': async (timers) => {
    timers.install();
    const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1, maxWaitMs: 10_000 });
    equal(limiter.tryAcquire(), true);
    equal(limiter.tryAcquire(), false);
    const waiting = [watched(limiter.acquire()), watched(limiter.acquire())];
    timers.tick(1_000);
    await settle();
    deepEqual(
      waiting.map(({ outcome }) => outcome),
      [undefined, 'pending'],
    );
    timers.tick(1_000);
    await settle();
    equal(waiting[1]?.outcome, undefined);
    timers.tick(1_000);
    equal(limiter.tryAcquire(), true);
    timers.restore();
  },
  'a limiter that waits when the timers are restored goes on in real time': async (timers) => {
    timers.install();
    const limiter = createRateLimiter({
      maxTokens: 1,
      refillRate: 1_000 / SHORT_MS,
      maxWaitMs: 10_000,
    });
    await limiter.acquire();
    const first = limiter.acquire();
    timers.restore();
    await limiter.acquire();
    await first;
  },
  'a hedge starts in faked time': async (timers) => {
    timers.install();
    const hedge = createHedge({ delayMs: 100 });
    const call = watched(
      hedge.execute((_signal, attempt) => (attempt === 1 ? never() : Promise.resolve('second'))),
    );
    timers.tick(99);
    await settle();
    equal(call.outcome, 'pending');
    timers.tick(1);
    await settle();
    equal(call.outcome, 'second');
    timers.restore();
  },
};

function fakedThenReal(create: Shared['create']): Scenario {
  return async (timers) => {
    const call = create();
    timers.install();
    await timesOutAtTick(timers, call);
    // Arms the timer once more.
    void call().catch(() => undefined);
    timers.restore();
    await timesOutForReal(call);
  };
}

function realThenFaked(create: Shared['create']): Scenario {
  return async (timers) => {
    const call = create();
    await timesOutForReal(call);
    void call().catch(() => undefined);
    timers.install();
    await timesOutAtTick(timers, call);
    timers.restore();
    await timesOutForReal(call);
  };
}

function fakedTwice(create: Shared['create']): Scenario {
  return async (timers) => {
    const call = create();
    for (let round = 0; round < 2; round += 1) {
      timers.install();
      await timesOutAtTick(timers, call);
      void call().catch(() => undefined);
      timers.restore();
    }
  };
}

function cleared(create: Shared['create']): Scenario {
  return async (timers) => {
    const call = create();
    timers.install();
    void call().catch(() => undefined);
    timers.clear();
    await timesOutAtTick(timers, call);
    timers.restore();
  };
}

function restoredWhileArmed(create: Shared['create']): Scenario {
  return async (timers) => {
    const call = create();
    timers.install();
    const pending = call();
    // It settles while the other call is awaited.
    pending.catch(() => undefined);
    timers.restore();
    await timesOutForReal(call);
    await timesOutForReal(() => pending);
  };
}
