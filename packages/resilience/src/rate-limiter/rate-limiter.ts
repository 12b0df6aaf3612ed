import { Waiter } from '../waiter.ts';
import {
  type Clock,
  createEmitter,
  objectWith,
  integer,
  InvalidOptionError,
  LinkedList,
  type Subscribe,
  object,
  number,
  optional,
  parseOptions,
  systemClock,
  string,
  type Timer,
} from '@holdfast/foundation';
import { RateLimitedError, RateLimiterClosedError } from './rate-limiter-errors.ts';
import { soon, withoutStack } from '../cheap-errors.ts';
import { TokenBucket } from './token-bucket.ts';

/** A bucket's size and how fast it refills. */
export interface Quota {
  /** The largest burst: what the bucket holds when full. */
  maxTokens: number;
  /** Tokens per second; 1 / 86 400 is one a day. */
  refillRate: number;
}

export interface RateLimiterOptions extends Quota {
  /** Appears in errors and events. Default `rate-limiter`. */
  name?: string;
  /**
   * A second, slower quota that has to agree as well: 10 a second in bursts of 10, yet no more than
   * 1 000 an hour.
   */
  sustained?: Quota;
  /** How long `acquire` waits for tokens, in milliseconds; 0 refuses at once. Default 0. */
  maxWaitMs?: number;
  /** How many calls wait for tokens; further ones are refused. Default 1 000. */
  maxQueueSize?: number;
  clock?: Clock;
}

export interface TokenOptions {
  /** Leaves the line at once when aborted, with the signal's own reason. */
  signal?: AbortSignal | undefined;
  /** In place of the limiter's own. */
  maxWaitMs?: number | undefined;
}

export interface RateLimiterStats {
  /** Whole tokens there now. */
  readonly availableTokens: number;
  readonly queuedCount: number;
  /** Calls let through since the start. */
  readonly grantedCount: number;
  /** Calls refused since the start. */
  readonly rejectedCount: number;
  readonly maxTokens: number;
  readonly refillRate: number;
}

export interface RateLimiterEvents {
  rejected: { name: string; tokens: number; retryAfterMs: number };
}

/**
 * Limits how often calls start. Calls that wait are served first come, first served; a newcomer never
 * takes tokens somebody waits for. How long a call would wait is known when it comes, so that one that
 * would wait too long is refused at once instead of in vain.
 */
export interface RateLimiter {
  readonly name: string;
  /** Takes the tokens if they are there now and nobody waits. */
  tryAcquire(tokens?: number): boolean;
  /**
   * Takes the tokens, after waiting for them if need be.
   * @throws RateLimitedError, RateLimiterClosedError, InvalidOptionError, or the signal's own reason.
   */
  acquire(tokens?: number, options?: TokenOptions): Promise<void>;
  /** Calls `fn` once a token is taken. Throws as `acquire`. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: TokenOptions & { tokens?: number | undefined },
  ): Promise<T>;
  /** How long until a call that came now would be let through: 0 when at once. */
  retryAfterMs(tokens?: number): number;
  getStats(): RateLimiterStats;
  readonly on: Subscribe<RateLimiterEvents>;
  /** Refuses every waiting and every further call with RateLimiterClosedError. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A limiter as a caller sees it that goes on to `acquire` when no token is free. */
export interface StackRateLimiter extends RateLimiter {
  /** As `tryAcquire` for one token, but a token that is not free is no refusal yet. */
  takeIfAvailable(): boolean;
}

/** A call that waits for its tokens. */
class TokenWaiter extends Waiter<void> {
  readonly tokens: number;
  readonly #abandoned: (waiter: TokenWaiter) => void;

  constructor(
    tokens: number,
    signal: AbortSignal | undefined,
    abandoned: (waiter: TokenWaiter) => void,
  ) {
    super(signal);
    this.tokens = tokens;
    this.#abandoned = abandoned;
  }

  protected override leaveQueue(): void {
    this.#abandoned(this);
  }
}

const waitRule = integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 });
const tokensRule = integer({ min: 1, max: 1_000_000_000 });

/** From one token in thirty years to one each nanosecond. */
const rateRule = number({ min: 1e-9, max: 1e9 });
const quotaShape = { maxTokens: tokensRule, refillRate: rateRule };

const shape = {
  ...quotaShape,
  name: string({ maxLength: 200, default: 'rate-limiter' }),
  sustained: optional(object(quotaShape)),
  maxWaitMs: waitRule,
  maxQueueSize: integer({ min: 0, max: 1_000_000, default: 1_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  return createStackRateLimiter(options);
}

/** @throws InvalidOptionError */
export function createStackRateLimiter(options: RateLimiterOptions): StackRateLimiter {
  const settled = parseOptions('createRateLimiter', shape, options);
  const { name, maxTokens, refillRate, sustained, maxQueueSize, clock } = settled;
  if (sustained !== undefined) refuseIdleQuota(settled, sustained);
  const bucket = new TokenBucket(maxTokens, refillRate, clock.now());
  const slowBucket =
    sustained && new TokenBucket(sustained.maxTokens, sustained.refillRate, clock.now());

  const announcer = createEmitter<RateLimiterEvents>('holdfast:rate-limiter');
  const line = new LinkedList<TokenWaiter>();
  let owedTokens = 0;
  let granted = 0;
  let rejected = 0;
  let closed = false;
  let refill: Timer | undefined;

  const waitMsFor = (tokens: number, nowMs: number): number => {
    const waitMs = bucket.waitMs(tokens, nowMs);
    return slowBucket === undefined ? waitMs : Math.max(waitMs, slowBucket.waitMs(tokens, nowMs));
  };

  const take = (tokens: number, nowMs: number): void => {
    bucket.take(tokens, nowMs);
    slowBucket?.take(tokens, nowMs);
    granted += 1;
  };

  const check = (tokens: number, method: string): void => {
    if (!Number.isSafeInteger(tokens) || tokens < 1 || tokens > maxTokens) {
      const permitted = `a whole number from 1 to ${maxTokens}, what the bucket holds`;
      throw new InvalidOptionError(`rateLimiter.${method}`, 'tokens', tokens, permitted);
    }
  };

  // One timer for the whole line, for the first in it. It holds the process: somebody waits to go on.
  const armRefill = (): void => {
    refill?.cancel();
    refill = undefined;
    const { first } = line;
    if (first !== undefined) {
      refill = clock.schedule(waitMsFor(first.tokens, clock.now()), admitDue);
    }
  };

  const admitDue = (): void => {
    const nowMs = clock.now();
    while (line.first !== undefined && waitMsFor(line.first.tokens, nowMs) === 0) {
      const waiter = line.shift();
      if (waiter === undefined) break;
      owedTokens -= waiter.tokens;
      take(waiter.tokens, nowMs);
      waiter.admit();
    }
    armRefill();
  };

  const refuse = (tokens: number, retryAfterMs: number, maxWaitMs: number): RateLimitedError => {
    rejected += 1;
    if (announcer.hasListeners('rejected')) {
      announcer.emit('rejected', { name, tokens, retryAfterMs });
    }
    const why =
      retryAfterMs > maxWaitMs
        ? `no ${tokens} of ${maxTokens} tokens within ${maxWaitMs} ms`
        : `${line.size} calls are waiting already`;
    return withoutStack(() => new RateLimitedError(name, why, retryAfterMs));
  };

  const abandoned = (waiter: TokenWaiter): void => {
    if (!line.remove(waiter)) return;
    owedTokens -= waiter.tokens;
    admitDue();
  };

  const wait = (tokens: number, signal: AbortSignal | undefined): Promise<void> => {
    const waiter = new TokenWaiter(tokens, signal, abandoned);
    line.append(waiter);
    owedTokens += tokens;
    if (line.size === 1) armRefill();
    return waiter.promise;
  };

  const takeIfFree = (tokens = 1): boolean => {
    const nowMs = clock.now();
    if (closed || line.size > 0 || waitMsFor(tokens, nowMs) > 0) return false;
    take(tokens, nowMs);
    return true;
  };

  const tryAcquire = (tokens = 1): boolean => {
    if (tokens !== 1) check(tokens, 'tryAcquire');
    const taken = takeIfFree(tokens);
    if (!taken) rejected += 1;
    return taken;
  };

  const acquire = async (tokens = 1, given: TokenOptions = {}): Promise<void> => {
    check(tokens, 'acquire');
    const { signal } = given;
    const maxWaitMs =
      given.maxWaitMs === undefined
        ? settled.maxWaitMs
        : waitRule.parse(given.maxWaitMs, 'maxWaitMs', 'rateLimiter.acquire');
    signal?.throwIfAborted();
    if (closed) {
      rejected += 1;
      throw new RateLimiterClosedError(name);
    }
    const nowMs = clock.now();
    const waitMs = waitMsFor(owedTokens + tokens, nowMs);
    if (waitMs === 0 && line.size === 0) {
      take(tokens, nowMs);
      return;
    }
    if (waitMs <= maxWaitMs && line.size < maxQueueSize) {
      await wait(tokens, signal);
      return;
    }
    const refusal = refuse(tokens, waitMs, maxWaitMs);
    await soon;
    throw refusal;
  };

  const close = async (): Promise<void> => {
    closed = true;
    for (let waiter = line.shift(); waiter !== undefined; waiter = line.shift()) {
      owedTokens -= waiter.tokens;
      rejected += 1;
      waiter.refuse(new RateLimiterClosedError(name));
    }
    armRefill();
  };

  return {
    name,
    tryAcquire,
    takeIfAvailable: () => takeIfFree(),
    acquire,
    async execute(fn, given) {
      await acquire(given?.tokens, given);
      given?.signal?.throwIfAborted();
      return fn(given?.signal);
    },
    retryAfterMs(tokens = 1) {
      check(tokens, 'retryAfterMs');
      return waitMsFor(owedTokens + tokens, clock.now());
    },
    getStats() {
      const nowMs = clock.now();
      const available = bucket.available(nowMs);
      return {
        availableTokens: Math.floor(
          Math.min(available, slowBucket?.available(nowMs) ?? Infinity) + 1e-9,
        ),
        queuedCount: line.size,
        grantedCount: granted,
        rejectedCount: rejected,
        maxTokens,
        refillRate,
      };
    },
    on: announcer.on,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Of two quotas the sustained one has to be the larger and the slower, or one of them never counts. */
function refuseIdleQuota(burst: Quota, sustained: Quota): void {
  if (sustained.maxTokens < burst.maxTokens) {
    throw new InvalidOptionError(
      'createRateLimiter',
      'sustained.maxTokens',
      sustained.maxTokens,
      `at least maxTokens (${burst.maxTokens})`,
    );
  }
  if (sustained.refillRate >= burst.refillRate) {
    throw new InvalidOptionError(
      'createRateLimiter',
      'sustained.refillRate',
      sustained.refillRate,
      `below refillRate (${burst.refillRate})`,
    );
  }
}
