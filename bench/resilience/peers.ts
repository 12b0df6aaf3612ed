/** The compared libraries, loaded on first use. */

type Work = () => Promise<unknown>;

export interface Cockatiel {
  readonly handleAll: object;
  readonly ConsecutiveBreaker: new (threshold: number) => object;
  readonly SamplingBreaker: new (options: { threshold: number; duration: number }) => object;
  readonly ExponentialBackoff: new () => object;
  retry(handled: object, options: { maxAttempts: number; backoff: object }): Policy;
  circuitBreaker(handled: object, options: { halfOpenAfter: number; breaker: object }): Policy;
  bulkhead(limit: number, queue: number): Policy;
  timeout(durationMs: number, options: { strategy: string; abortOnReturn: boolean }): Policy;
  wrap(...policies: readonly Policy[]): Policy;
}

export interface Policy {
  execute(work: Work): Promise<unknown>;
}

interface OpossumBreaker {
  fire(): Promise<unknown>;
  open(): void;
}

export interface Opossum {
  readonly default: new (work: Work, options: object) => OpossumBreaker;
}

export interface PLimit {
  default(concurrency: number): (work: Work) => Promise<unknown>;
}

export interface PQueue {
  readonly default: new (options: { concurrency: number }) => {
    add(work: Work): Promise<unknown>;
  };
}

export interface PRetry {
  default(this: void, work: Work, options: { retries: number }): Promise<unknown>;
}

export interface RateLimiterFlexible {
  readonly RateLimiterMemory: new (options: { points: number; duration: number }) => {
    consume(key: string): Promise<unknown>;
  };
}

/** A peer is not installed: the case is omitted and the run reports it. */
export class PeerMissingError extends Error {
  constructor(name: string, cause: unknown) {
    super(`${name} is not installed; it is one of the root's devDependencies`, { cause });
  }
}

export const cockatiel = (): Promise<Cockatiel> =>
  peer<Cockatiel>('cockatiel', ['retry', 'circuitBreaker', 'bulkhead', 'timeout', 'wrap']);
export const opossum = (): Promise<Opossum> => peer<Opossum>('opossum', ['default']);
export const pLimit = (): Promise<PLimit> => peer<PLimit>('p-limit', ['default']);
export const pQueue = (): Promise<PQueue> => peer<PQueue>('p-queue', ['default']);
export const pRetry = (): Promise<PRetry> => peer<PRetry>('p-retry', ['default']);
export const rateLimiterFlexible = (): Promise<RateLimiterFlexible> =>
  peer<RateLimiterFlexible>('rate-limiter-flexible', ['RateLimiterMemory']);

async function peer<T>(name: string, members: readonly (keyof T)[]): Promise<T> {
  let loaded: unknown;
  try {
    loaded = await import(name);
  } catch (error) {
    throw new PeerMissingError(name, error);
  }
  if (hasMembers(loaded, members)) return loaded;
  throw new TypeError(`${name} has changed: ${members.join(', ')} are expected`);
}

function hasMembers<T>(value: unknown, members: readonly (keyof T)[]): value is T {
  return typeof value === 'object' && value !== null && members.every((member) => member in value);
}
