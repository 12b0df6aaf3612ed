import { WORK_OPTIONS, checkCall, checkCallOptions } from '../check-call.ts';
import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  LinkedList,
  type ResolvedOptions,
  type Subscribe,
  type Timer,
  createEmitter,
  integer,
  number,
  object,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
  Waiter,
} from '@holdfast/foundation';
import { resolved, withoutStack } from '../cheap-errors.ts';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { type LateValueOptions, untilAborted } from '../until-aborted.ts';
import { RateLimitedError, RateLimiterClosedError } from './rate-limiter-errors.ts';
import {
  type Quota,
  type RateLimiter,
  type RateLimiterEvents,
  type RateLimiterOptions,
  type RateLimiterStats,
  type TokenOptions,
  rateLimiterEventKinds,
} from './rate-limiter.ts';
import { TokenBucket } from './token-bucket.ts';

/** The limiter of a stack, whose calls go on to `acquire` when no token is available. */
export interface StackRateLimiter extends RateLimiter {
  /** As `tryAcquire` for one token, but without counting a refusal. */
  takeIfAvailable(): boolean;
}

/** A call that waits for its tokens. */
class TokenWaiter extends Waiter<void> {
  readonly tokens: number;
  readonly #onLeave: (waiter: TokenWaiter) => void;

  constructor(
    tokens: number,
    signal: AbortSignal | undefined,
    onLeave: (waiter: TokenWaiter) => void,
  ) {
    super(signal);
    this.tokens = tokens;
    this.#onLeave = onLeave;
  }

  protected override leaveQueue(): void {
    this.#onLeave(this);
  }
}

/** A timer that fires less than this early has counted whole milliseconds; one that fires earlier is faked. */
const EARLY_MS = 1;

const waitRule = integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 });
/** The rate is from one token in thirty years to one each nanosecond. */
const quotaSchema = {
  maxTokens: integer({ min: 1, max: 1_000_000_000 }),
  refillRate: number({ min: 1e-9, max: 1e9 }),
};
const schema = {
  ...quotaSchema,
  name: string({ maxLength: 200, default: 'rate-limiter' }),
  sustained: optional(object(quotaSchema)),
  maxWaitMs: waitRule,
  maxQueueSize: integer({ min: 0, max: 1_000_000, default: 1_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * A token bucket: so many calls a second, and bursts up to its size.
 * @throws InvalidOptionError
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter;
export function createRateLimiter(
  name: string,
  options: NameFirst<RateLimiterOptions>,
): RateLimiter;
export function createRateLimiter(
  first: string | RateLimiterOptions,
  second?: NameFirst<RateLimiterOptions>,
): RateLimiter {
  return createStackRateLimiter(nameFirst<RateLimiterOptions>('createRateLimiter', first, second));
}

/** @throws InvalidOptionError */
export function createStackRateLimiter(options: RateLimiterOptions | undefined): StackRateLimiter {
  const resolvedOptions = parseOptions('createRateLimiter', schema, options);
  const { sustained } = resolvedOptions;
  if (sustained !== undefined) assertSustainedIsSlower(resolvedOptions, sustained);
  return new TokenBucketLimiter(resolvedOptions);
}

const NO_OPTIONS: TokenOptions = {};
const TOKEN_OPTIONS = ['signal', 'maxWaitMs'];
const RUN_OPTIONS = [...WORK_OPTIONS, 'maxWaitMs', 'tokens'];

class TokenBucketLimiter implements StackRateLimiter {
  readonly name: string;
  readonly on: Subscribe<RateLimiterEvents>;
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #emitter: Emitter<RateLimiterEvents> = createEmitter(
    'holdfast:rate-limiter',
    rateLimiterEventKinds,
  );
  readonly #bucket: TokenBucket;
  readonly #sustained: TokenBucket | undefined;
  readonly #queue = new LinkedList<TokenWaiter>();
  readonly #onLeave = (waiter: TokenWaiter): void => {
    const wasFirst = this.#queue.first === waiter;
    if (!this.#queue.remove(waiter)) return;
    this.#queuedTokens -= waiter.tokens;
    // Only the first decides when the queue moves on.
    if (wasFirst) this.#admitDue();
  };
  #queuedTokens = 0;
  #granted = 0;
  #rejected = 0;
  #closed = false;
  #refill: Timer | undefined;

  constructor(options: ResolvedOptions<typeof schema>) {
    const { name, maxTokens, refillRate, sustained, clock } = options;
    this.name = name;
    this.on = this.#emitter.on;
    this.#options = options;
    this.#bucket = new TokenBucket(maxTokens, refillRate, clock.now());
    this.#sustained =
      sustained && new TokenBucket(sustained.maxTokens, sustained.refillRate, clock.now());
  }

  takeIfAvailable(tokens = 1): boolean {
    const nowMs = this.#options.clock.now();
    if (this.#closed || this.#queue.size > 0 || this.#waitMs(tokens, nowMs) > 0) return false;
    this.#take(tokens, nowMs);
    return true;
  }

  tryAcquire(tokens = 1): boolean {
    if (tokens !== 1) this.#check(tokens, 'tryAcquire');
    const taken = this.takeIfAvailable(tokens);
    if (!taken) this.#rejected += 1;
    return taken;
  }

  acquire(tokens = 1, options: TokenOptions = NO_OPTIONS): Promise<void> {
    try {
      if (options !== NO_OPTIONS) checkCallOptions('rateLimiter.acquire', options, TOKEN_OPTIONS);
      return this.#acquire(tokens, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #acquire(tokens: number, options: TokenOptions): Promise<void> {
    this.#check(tokens, 'acquire');
    const { signal } = options;
    const maxWaitMs =
      options.maxWaitMs === undefined
        ? this.#options.maxWaitMs
        : waitRule.parse(options.maxWaitMs, 'maxWaitMs', 'rateLimiter.acquire');
    signal?.throwIfAborted();
    if (this.#closed) {
      this.#rejected += 1;
      throw new RateLimiterClosedError(this.name);
    }
    const nowMs = this.#options.clock.now();
    const waitMs = this.#waitMs(this.#queuedTokens + tokens, nowMs);
    if (waitMs === 0 && this.#queue.size === 0) {
      this.#take(tokens, nowMs);
      return;
    }
    if (waitMs <= maxWaitMs && this.#queue.size < this.#options.maxQueueSize) {
      await this.#wait(tokens, signal);
      return;
    }
    const error = this.#limited(tokens, waitMs, maxWaitMs);
    await resolved;
    throw error;
  }

  async execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: TokenOptions & LateValueOptions<T> & { tokens?: number | undefined },
  ): Promise<T> {
    checkCall('rateLimiter.execute', fn, options, RUN_OPTIONS);
    await this.#acquire(options?.tokens ?? 1, options ?? NO_OPTIONS);
    const signal = options?.signal;
    if (signal === undefined) return fn(signal);
    signal.throwIfAborted();
    return untilAborted(fn, signal, options);
  }

  retryAfterMs(tokens = 1): number {
    this.#check(tokens, 'retryAfterMs');
    return this.#waitMs(this.#queuedTokens + tokens, this.#options.clock.now());
  }

  getStats(): RateLimiterStats {
    const { clock, maxTokens, refillRate } = this.#options;
    const nowMs = clock.now();
    const available = Math.min(
      this.#bucket.available(nowMs),
      this.#sustained?.available(nowMs) ?? Infinity,
    );
    return {
      availableTokens: Math.floor(available + 1e-9),
      queuedCount: this.#queue.size,
      grantedCount: this.#granted,
      rejectedCount: this.#rejected,
      maxTokens,
      refillRate,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (let waiter = this.#queue.shift(); waiter !== undefined; waiter = this.#queue.shift()) {
      this.#queuedTokens -= waiter.tokens;
      this.#rejected += 1;
      waiter.refuse(new RateLimiterClosedError(this.name));
    }
    this.#armRefill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(tokens: number, method: string): void {
    const { maxTokens } = this.#options;
    if (Number.isSafeInteger(tokens) && tokens >= 1 && tokens <= maxTokens) return;
    const permitted = `a whole number from 1 to ${maxTokens}, what the bucket holds`;
    throw new InvalidOptionError(`rateLimiter.${method}`, 'tokens', tokens, permitted);
  }

  #waitMs(tokens: number, nowMs: number): number {
    const waitMs = this.#bucket.waitMs(tokens, nowMs);
    if (this.#sustained === undefined) return waitMs;
    return Math.max(waitMs, this.#sustained.waitMs(tokens, nowMs));
  }

  #take(tokens: number, nowMs: number): void {
    this.#bucket.take(tokens, nowMs);
    this.#sustained?.take(tokens, nowMs);
    this.#granted += 1;
  }

  #wait(tokens: number, signal: AbortSignal | undefined): Promise<void> {
    const waiter = new TokenWaiter(tokens, signal, this.#onLeave);
    this.#queue.append(waiter);
    this.#queuedTokens += tokens;
    if (this.#queue.size === 1) this.#armRefill();
    else this.#refill?.rearm?.();
    return waiter.promise;
  }

  /** One timer for the whole queue, due when the first in it can go on. It holds the process: a call waits. */
  #armRefill(): void {
    const { clock } = this.#options;
    this.#refill?.cancel();
    this.#refill = undefined;
    const { first } = this.#queue;
    if (first === undefined) return;
    const nowMs = clock.now();
    const delayMs = this.#waitMs(first.tokens, nowMs);
    this.#refill = clock.schedule(delayMs, () => this.#admitDue(nowMs + delayMs));
  }

  /** @param firedMs the time for which the timer was armed; it counts, whatever a faked clock reads. */
  #admitDue(firedMs = -Infinity): void {
    const readMs = this.#options.clock.now();
    const nowMs = firedMs - readMs < EARLY_MS ? readMs : firedMs;
    let { first } = this.#queue;
    while (first !== undefined && this.#waitMs(first.tokens, nowMs) === 0) {
      this.#queue.shift();
      this.#queuedTokens -= first.tokens;
      this.#take(first.tokens, nowMs);
      first.admit();
      ({ first } = this.#queue);
    }
    this.#armRefill();
  }

  #limited(tokens: number, retryAfterMs: number, maxWaitMs: number): RateLimitedError {
    this.#rejected += 1;
    if (this.#emitter.hasListeners('rejected')) {
      this.#emitter.emit('rejected', { name: this.name, tokens, retryAfterMs });
    }
    const seen =
      retryAfterMs > maxWaitMs
        ? `no ${tokens} of ${this.#options.maxTokens} tokens within ${maxWaitMs} ms`
        : `${this.#queue.size} calls are waiting already`;
    return withoutStack(() => new RateLimitedError(this.name, seen, retryAfterMs));
  }
}

/** The sustained quota must be the larger and the slower one, or one of the two never limits anything. */
function assertSustainedIsSlower(burst: Quota, sustained: Quota): void {
  const refuse = (field: keyof Quota, permitted: string): never => {
    throw new InvalidOptionError(
      'createRateLimiter',
      `sustained.${field}`,
      sustained[field],
      permitted,
    );
  };
  if (sustained.maxTokens < burst.maxTokens) {
    refuse('maxTokens', `at least maxTokens (${burst.maxTokens})`);
  }
  if (sustained.refillRate >= burst.refillRate) {
    refuse('refillRate', `below refillRate (${burst.refillRate})`);
  }
}
