import {
  createBulkhead,
  createCircuitBreaker,
  createKeyedCircuitBreakers,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  retry as retryOnce,
} from '@holdfast/resilience';
import { type Operation, retainedBytes } from './cpu-time.ts';
import {
  type Cockatiel,
  type Policy,
  cockatiel,
  opossum,
  pLimit,
  pQueue,
  pRetry,
  rateLimiterFlexible,
} from './peers.ts';

export interface Case {
  readonly group: string;
  readonly name: string;
  /** The maximum cost of ours, in units of a bare await; peers have none. */
  readonly bar?: number;
  /** The maximum allocation of ours. */
  readonly barBytes?: number;
  make(): Operation | Promise<Operation>;
}

export interface RetainedCase {
  readonly group: string;
  readonly name: string;
  readonly barBytes?: number;
  retained(): number | Promise<number>;
}

const HOUR_MS = 3_600_000;
const work = async (): Promise<unknown> => undefined;
const broken = Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
const failing = (): Promise<unknown> => Promise.reject(broken);

const cases: Case[] = [];

function add(group: string, name: string, make: Case['make'], bars: Partial<Case> = {}): void {
  cases.push({ group, name, make, ...bars });
}

function cockatielBreaker(peer: Cockatiel): Policy {
  return peer.circuitBreaker(peer.handleAll, {
    halfOpenAfter: HOUR_MS,
    breaker: new peer.ConsecutiveBreaker(5),
  });
}

// Retry, breaker, bulkhead and timeout around one call.
const fullStack = () =>
  createResilienceStack({
    circuitBreaker: { failureThreshold: 5 },
    retry: { maxAttempts: 3 },
    bulkhead: { maxConcurrent: 10 },
    timeoutMs: 30_000,
  });
add(
  'full stack',
  'holdfast execute',
  () => {
    const stack = fullStack();
    return { run: () => stack.execute(work) };
  },
  { bar: 15, barBytes: 2_500 },
);
add(
  'full stack',
  'holdfast execute, one of 1 000 keys',
  () => {
    const stack = fullStack();
    const keys = Array.from({ length: 1_000 }, (_, index) => `key ${index}`);
    let call = 0;
    return { run: () => stack.execute(keys[(call += 1) % 1_000] ?? '', work) };
  },
  { bar: 15, barBytes: 2_500 },
);
add(
  'full stack',
  'holdfast execute, the work reads its signal',
  () => {
    const stack = fullStack();
    return { run: () => stack.execute(async (signal) => signal.aborted) };
  },
  { bar: 15, barBytes: 2_500 },
);
add(
  'full stack',
  'holdfast tryExecute',
  () => {
    const stack = fullStack();
    return { run: () => stack.tryExecute(work) };
  },
  { bar: 15, barBytes: 2_500 },
);
add(
  'full stack',
  "holdfast execute, with a caller's signal",
  () => {
    const stack = fullStack();
    const { signal } = new AbortController();
    return { run: () => stack.execute(work, { signal }) };
  },
  { bar: 15, barBytes: 2_500 },
);
add('full stack', 'cockatiel', async () => {
  const peer = await cockatiel();
  const stack = peer.wrap(
    peer.retry(peer.handleAll, { maxAttempts: 3, backoff: new peer.ExponentialBackoff() }),
    cockatielBreaker(peer),
    peer.bulkhead(10, 100),
    peer.timeout(30_000, { strategy: 'aggressive', abortOnReturn: true }),
  );
  return { run: () => stack.execute(work) };
});
add('full stack', 'p-retry with opossum', async () => {
  const { default: retry } = await pRetry();
  const { default: Breaker } = await opossum();
  const breaker = new Breaker(work, { timeout: 30_000, capacity: 10 });
  return { run: () => retry(() => breaker.fire(), { retries: 2 }) };
});

add(
  'breaker closed',
  'holdfast execute',
  () => {
    const breaker = createCircuitBreaker({ failureThreshold: 5 });
    return { run: () => breaker.execute(work) };
  },
  { bar: 4 },
);
add('breaker closed', 'holdfast execute, time window', () => {
  const breaker = createCircuitBreaker({ windowMs: 10_000 });
  return { run: () => breaker.execute(work) };
});
add('breaker closed', 'cockatiel', async () => {
  const breaker = cockatielBreaker(await cockatiel());
  return { run: () => breaker.execute(work) };
});
add('breaker closed', 'opossum', async () => {
  const { default: Breaker } = await opossum();
  const breaker = new Breaker(work, { timeout: false });
  return { run: () => breaker.fire() };
});

const openBreaker = () => {
  const breaker = createCircuitBreaker({ openDurationMs: HOUR_MS, maxOpenDurationMs: HOUR_MS });
  breaker.forceOpen(HOUR_MS);
  return breaker;
};
add(
  'breaker open',
  'holdfast tryExecute',
  () => {
    const breaker = openBreaker();
    return { run: () => breaker.tryExecute(work) };
  },
  { bar: 4 },
);
add(
  'breaker open',
  'holdfast execute',
  () => {
    const breaker = openBreaker();
    return { run: () => breaker.execute(work) };
  },
  { bar: 25 },
);
add('breaker open', 'cockatiel', async () => {
  const breaker = cockatielBreaker(await cockatiel());
  for (let call = 0; call < 6; call += 1) await breaker.execute(failing).catch(() => undefined);
  return { run: () => breaker.execute(work) };
});
add('breaker open', 'opossum', async () => {
  const { default: Breaker } = await opossum();
  const breaker = new Breaker(work, { timeout: false, resetTimeout: HOUR_MS });
  breaker.open();
  return { run: () => breaker.fire() };
});

add('retry, first try', 'holdfast', () => {
  const retrying = createRetry({ maxAttempts: 3 });
  return { run: () => retrying.execute(work) };
});
add('retry, first try', 'holdfast retry()', () => ({ run: () => retryOnce(work) }), {
  bar: 12,
  barBytes: 2_500,
});
add(
  'retry, first try',
  'holdfast retry() with options',
  () => ({ run: () => retryOnce(work, { maxAttempts: 3, initialDelayMs: 100 }) }),
  { bar: 12, barBytes: 2_750 },
);
add('retry, first try', "holdfast retry() with a caller's signal", () => {
  const { signal } = new AbortController();
  return { run: () => retryOnce(work, { maxAttempts: 3, signal }) };
});
add('retry, first try', 'cockatiel', async () => {
  const peer = await cockatiel();
  const backoff = new peer.ExponentialBackoff();
  const retrying = peer.retry(peer.handleAll, { maxAttempts: 3, backoff });
  return { run: () => retrying.execute(work) };
});
add('retry, first try', 'p-retry', async () => {
  const { default: retrying } = await pRetry();
  return { run: () => retrying(work, { retries: 2 }) };
});

add('bulkhead, free', 'holdfast', () => {
  const bulkhead = createBulkhead({ maxConcurrent: 10 });
  return { run: () => bulkhead.execute(work) };
});
add('bulkhead, free', 'cockatiel', async () => {
  const bulkhead = (await cockatiel()).bulkhead(10, 100);
  return { run: () => bulkhead.execute(work) };
});
add('bulkhead, free', 'p-limit', async () => {
  const limit = (await pLimit()).default(10);
  return { run: () => limit(work) };
});
add('bulkhead, free', 'p-queue', async () => {
  const { default: Queue } = await pQueue();
  const queue = new Queue({ concurrency: 10 });
  return { run: () => queue.add(work) };
});

for (const tasks of [2_000, 50_000]) {
  const group = `${tasks.toLocaleString('en')} queued, 10 slots, per task`;
  const all = (start: (task: () => Promise<unknown>) => Promise<unknown>): Operation => ({
    run: () => Promise.all(Array.from({ length: tasks }, () => start(work))),
    perRun: tasks,
  });
  add(group, 'holdfast', () => {
    const bulkhead = createBulkhead({ maxConcurrent: 10, maxQueueSize: tasks });
    return all((task) => bulkhead.execute(task));
  });
  add(group, 'cockatiel', async () => {
    const bulkhead = (await cockatiel()).bulkhead(10, tasks);
    return all((task) => bulkhead.execute(task));
  });
  add(group, 'a promise for each, released all at once', () => ({
    run: () => {
      const released = Promise.withResolvers<void>();
      const task = async (): Promise<unknown> => {
        await released.promise;
        return work();
      };
      const settled = Promise.all(Array.from({ length: tasks }, task));
      released.resolve();
      return settled;
    },
    perRun: tasks,
  }));
  add(group, 'p-limit', async () => all((await pLimit()).default(10)));
  add(group, 'p-queue', async () => {
    const { default: Queue } = await pQueue();
    const queue = new Queue({ concurrency: 10 });
    return all((task) => queue.add(task));
  });
}

add('rate limit, granted', 'holdfast tryAcquire', () => {
  const limiter = createRateLimiter({ maxTokens: 1_000_000_000, refillRate: 1_000_000_000 });
  return { run: async () => limiter.tryAcquire() };
});
add('rate limit, granted', 'holdfast acquire', () => {
  const limiter = createRateLimiter({ maxTokens: 1_000_000_000, refillRate: 1_000_000_000 });
  return { run: () => limiter.acquire() };
});
add('rate limit, granted', 'rate-limiter-flexible', async () => {
  const { RateLimiterMemory } = await rateLimiterFlexible();
  const limiter = new RateLimiterMemory({ points: 1_000_000_000, duration: 3_600 });
  return { run: () => limiter.consume('key') };
});
const drained = () => {
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 0.000_1 });
  limiter.tryAcquire();
  return limiter;
};
add('rate limit, refused', 'holdfast tryAcquire', () => {
  const limiter = drained();
  return { run: async () => limiter.tryAcquire() };
});
add('rate limit, refused', 'holdfast acquire (throws)', () => {
  const limiter = drained();
  return { run: () => limiter.acquire() };
});
add('rate limit, refused', 'rate-limiter-flexible', async () => {
  const { RateLimiterMemory } = await rateLimiterFlexible();
  const limiter = new RateLimiterMemory({ points: 1, duration: 3_600 });
  await limiter.consume('key');
  return { run: () => limiter.consume('key') };
});

for (const calls of [0, 100_000]) {
  const group = `failing call, ${calls.toLocaleString('en')} calls in the window`;
  add(group, 'holdfast', async () => {
    const breaker = createCircuitBreaker({ windowMs: 60_000 });
    // The breaker counts and evaluates as usual, and admits every call.
    breaker.observe();
    for (let call = 0; call < calls; call += 1) await breaker.execute(work);
    return { run: () => breaker.execute(failing) };
  });
  add(group, 'cockatiel', async () => {
    const peer = await cockatiel();
    const sampling = new peer.SamplingBreaker({ threshold: 0.999_999, duration: 60_000 });
    const breaker = peer.circuitBreaker(peer.handleAll, {
      halfOpenAfter: HOUR_MS,
      breaker: sampling,
    });
    // One more success keeps it closed.
    for (let call = 0; call < Math.max(100, calls); call += 1) await breaker.execute(work);
    return { run: () => breaker.execute(failing) };
  });
  add(group, 'opossum', async () => {
    const { default: Breaker } = await opossum();
    let next = work;
    const breaker = new Breaker(() => next(), {
      timeout: false,
      rollingCountTimeout: 60_000,
      volumeThreshold: 1_000_000_000,
    });
    for (let call = 0; call < calls; call += 1) await breaker.fire();
    next = failing;
    return { run: () => breaker.fire() };
  });
}

const IDLE = 10_000;

export const retainedCases: readonly RetainedCase[] = [
  {
    group: 'idle breaker of one key, retained',
    name: 'holdfast',
    barBytes: 1_024,
    retained: () => {
      const breakers = createKeyedCircuitBreakers({ failureThreshold: 5 });
      return retainedBytes(IDLE, (index) => breakers.get(`key ${index}`));
    },
  },
  {
    group: 'idle breaker of one key, retained',
    name: 'cockatiel',
    retained: async () => {
      const peer = await cockatiel();
      return retainedBytes(IDLE, () => cockatielBreaker(peer));
    },
  },
  {
    group: 'idle breaker of one key, retained',
    name: 'opossum',
    retained: async () => {
      const { default: Breaker } = await opossum();
      return retainedBytes(1_000, () => new Breaker(work, { timeout: false }));
    },
  },
];

export const costCases: readonly Case[] = cases;
