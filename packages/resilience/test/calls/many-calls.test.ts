import { getEventListeners } from 'node:events';
import { beforeAll, expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import {
  createBulkhead,
  createCircuitBreaker,
  createCoalescer,
  createHedge,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createTimeout,
  retry,
} from '@holdfast/resilience';
import PQueue from 'p-queue';

type Wait = (signal: AbortSignal) => Promise<unknown>;

const CALLS = 20_000;
const LONG_MS = 60_000;
const never = (): Promise<never> => new Promise(() => undefined);
const broken = Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
const down = (): Promise<never> => Promise.reject(broken);
const unlimited = { deposit: () => undefined, tryWithdraw: () => true };

function peerQueue(): Wait {
  const queue = new PQueue({ concurrency: 1 });
  void queue.add(never);
  return (signal) => queue.add(never, { signal });
}

function fullBulkhead(): Wait {
  const bulkhead = createBulkhead({
    maxConcurrent: 1,
    maxQueueSize: CALLS,
    queueTimeoutMs: LONG_MS,
  });
  bulkhead.tryAcquire();
  return (signal) => bulkhead.execute(never, { signal });
}

function emptyLimiter(): Wait {
  const limits = { maxTokens: 1, refillRate: 1e-6, maxWaitMs: 1e15, maxQueueSize: CALLS };
  const limiter = createRateLimiter(limits);
  limiter.tryAcquire();
  return (signal) => limiter.acquire(1, { signal });
}

function fullStack(): Wait {
  const stack = createResilienceStack({
    circuitBreaker: {},
    retry: {},
    bulkhead: { maxConcurrent: 1, maxQueueSize: CALLS, queueTimeoutMs: LONG_MS },
    timeoutMs: LONG_MS,
  });
  return (signal) => stack.execute(never, { signal });
}

interface Waiting {
  readonly name: string;
  readonly open: () => Wait;
  /** The most that joining and leaving may cost, in units of p-queue's. */
  readonly bar: number;
}

const waits: readonly Waiting[] = [
  { name: 'the queue of a bulkhead', open: fullBulkhead, bar: 3 },
  { name: 'the queue of a limiter', open: emptyLimiter, bar: 3 },
  { name: 'a stack', open: fullStack, bar: 3 },
  {
    name: 'a timeout',
    open: () => {
      const timeout = createTimeout({ timeoutMs: LONG_MS });
      return (signal) => timeout.execute(never, { signal });
    },
    bar: 3,
  },
  {
    name: 'a hedge',
    open: () => {
      const hedge = createHedge({ delayMs: LONG_MS });
      return (signal) => hedge.execute(never, { signal });
    },
    bar: 3,
  },
  {
    name: 'a closed circuit breaker',
    open: () => {
      const breaker = createCircuitBreaker();
      return (signal) => breaker.execute(never, { signal });
    },
    bar: 3,
  },
  {
    name: 'a bulkhead with a slot for each',
    open: () => {
      const bulkhead = createBulkhead({ maxConcurrent: CALLS });
      return (signal) => bulkhead.execute(never, { signal });
    },
    bar: 3,
  },
  {
    name: 'a coalesced call',
    open: () => {
      const coalescer = createCoalescer();
      return (signal) => coalescer.execute('key', never, { signal });
    },
    bar: 3,
  },
  { name: 'a sleep', open: () => (signal) => sleep(systemClock, LONG_MS, signal), bar: 3 },
  // Each of these has made an attempt and failed before it waits, which a task of p-queue has not.
  {
    name: 'the backoff of a retry policy',
    open: () => {
      const policy = createRetry({
        initialDelayMs: LONG_MS,
        maxDelayMs: LONG_MS,
        budget: unlimited,
      });
      return (signal) => policy.execute(down, { signal });
    },
    bar: 9,
  },
  {
    name: 'the backoff of single retries',
    open: () => (signal) => retry(down, { initialDelayMs: LONG_MS, maxDelayMs: LONG_MS, signal }),
    bar: 9,
  },
];

interface Measured {
  /** The CPU time of joining and leaving. */
  readonly cpuMs: number;
  /** Those of the signal in between and afterwards. */
  readonly listeners: number[];
  readonly outcomes: PromiseSettledResult<unknown>[];
}

async function measured(open: () => Wait): Promise<Measured> {
  const wait = open();
  const controller = new AbortController();
  const before = process.cpuUsage();
  const calls = Array.from({ length: CALLS }, () => wait(controller.signal));
  const settled = Promise.allSettled(calls);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  const during = getEventListeners(controller.signal, 'abort').length;
  controller.abort('given up');
  const outcomes = await settled;
  const { user, system } = process.cpuUsage(before);
  const after = getEventListeners(controller.signal, 'abort').length;
  return { cpuMs: (user + system) / 1_000, listeners: [during, after], outcomes };
}

/** The fastest of two rounds: collections of garbage and other processes only ever add to one. */
async function fastest(open: () => Wait): Promise<number> {
  let cpuMs = Infinity;
  for (let round = 0; round < 2; round += 1) {
    cpuMs = Math.min(cpuMs, (await measured(open)).cpuMs);
  }
  return cpuMs;
}

let peerMs = Infinity;

beforeAll(async () => {
  peerMs = await fastest(peerQueue);
});

test.each(waits)(
  '20 000 calls on one signal in $name: one listener, none left, $bar times the cost of p-queue at most',
  async ({ open, bar }) => {
    const { listeners, outcomes } = await measured(open);
    expect(listeners).toEqual([1, 0]);
    const reasons = outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason);
    expect(new Set(reasons)).toEqual(new Set(['given up']));
    expect((await fastest(open)) / peerMs).toBeLessThan(bar);
  },
);

test('calls one after the other with one signal leave no listener, at whatever number they end', async () => {
  const { signal } = new AbortController();
  const breaker = createCircuitBreaker();
  const stack = createResilienceStack({ retry: {}, bulkhead: {} });
  for (let call = 0; call < 30; call += 1) {
    await breaker.execute(async () => call, { signal });
    await stack.execute(async () => call, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  }
});

test('the abort of a signal that has served many calls reaches the one that waits, at once', async () => {
  const controller = new AbortController();
  const timeout = createTimeout({ timeoutMs: LONG_MS });
  for (let call = 0; call < 30; call += 1) {
    await timeout.execute(async () => call, { signal: controller.signal });
  }
  let aborted: unknown;
  const work = (signal: AbortSignal): Promise<never> => {
    signal.addEventListener('abort', () => (aborted = signal.reason));
    return never();
  };
  const call = timeout.execute(work, { signal: controller.signal });
  controller.abort('at once');
  expect(aborted).toBe('at once');
  await expect(call).rejects.toBe('at once');
});
