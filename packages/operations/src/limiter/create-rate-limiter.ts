import {
  type Emitter,
  InvalidOptionError,
  type Subscribe,
  type Timer,
  createEmitter,
  describeValue,
} from '@holdfast/foundation';
import { RateStoreError } from './errors.ts';
import {
  type DistributedRateLimiterOptions,
  type ResolvedLimiterOptions,
  parseLimiterOptions,
} from './limiter-options.ts';
import { LocalShare, shareOf } from './local-share.ts';
import {
  type ConsumeOptions,
  type CountedBy,
  type CountedReply,
  type DistributedRateLimiter,
  type DistributedRateLimiterEvents,
  type DistributedRateLimiterStats,
  type Rate,
  type RateLimitOutcome,
  type RateRequest,
  rateLimiterEventKinds,
} from './rate-limiter.ts';

const MAX_KEY_LENGTH = 1_024;

/**
 * Makes a rate limit that instances share.
 * @throws InvalidOptionError
 */
export function createDistributedRateLimiter(
  options: DistributedRateLimiterOptions,
): DistributedRateLimiter {
  return new StoredRateLimiter(parseLimiterOptions(options));
}

class StoredRateLimiter implements DistributedRateLimiter {
  readonly on: Subscribe<DistributedRateLimiterEvents>;
  readonly #emitter: Emitter<DistributedRateLimiterEvents> = createEmitter(
    'holdfast:rate-limiter',
    rateLimiterEventKinds,
  );
  readonly #options: ResolvedLimiterOptions;
  readonly #share: LocalShare;
  /** Calls of the store under way: once one has failed, none of the others is waited for. */
  readonly #pending = new Set<() => void>();
  readonly #settleMs: number;
  #isJoined = false;
  #isClosed = false;
  #rejoin: Timer | undefined;
  /** From when on the store may count, by what it said last; until then the shares do. */
  #countsFromMs = Infinity;
  #counts = { allowed: 0, limited: 0, allowedByShare: 0, storeDown: 0, timeouts: 0 };

  constructor(options: ResolvedLimiterOptions) {
    const { clock, rejoinEveryMs, timeoutMs } = options;
    this.on = this.#emitter.on;
    this.#options = options;
    // Within this time every instance has noticed that the store is back, and uses its share no more.
    this.#settleMs = rejoinEveryMs + timeoutMs * 2;
    this.#share = new LocalShare(options.maxKeys, clock.now());
    this.#join();
  }

  async consume(key: string, { cost = 1 }: ConsumeOptions = {}): Promise<RateLimitOutcome> {
    const request = this.#requestOf(key, cost);
    const reply = this.#isJoined ? await this.#ask(request) : undefined;
    if (reply !== undefined) return this.#count(reply, 'store');
    return this.#withoutStore(request);
  }

  getStats(): DistributedRateLimiterStats {
    return { isStoreUp: this.#isJoined, ...this.#counts, loadFactor: this.#loadFactor() };
  }

  close(): void {
    this.#isClosed = true;
    this.#rejoin?.cancel();
    this.#loseStore(new RateStoreError('the rate limiter is closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #requestOf(key: string, cost: number): RateRequest {
    if (typeof key !== 'string' || key.length === 0 || key.length > MAX_KEY_LENGTH) {
      const permitted = `a string of 1 to ${MAX_KEY_LENGTH} characters`;
      throw new InvalidOptionError('consume', 'key', key, permitted);
    }
    const { maxCost, sustained, peak } = this.#options;
    if (!Number.isSafeInteger(cost) || cost < 1 || cost > maxCost) {
      throw new InvalidOptionError('consume', 'cost', cost, `a whole number from 1 to ${maxCost}`);
    }
    const factor = this.#loadFactor();
    // Only the rate is lowered: a tolerance that grew with the load would give back what was spent.
    const slowed = (rate: Rate): Rate => ({ ...rate, intervalMs: rate.intervalMs / factor });
    return { key, cost, sustained: slowed(sustained), peak, settleMs: this.#settleMs };
  }

  /** Undefined: the store does not count this request. Never takes longer than `timeoutMs`. */
  #ask(request: RateRequest): Promise<CountedReply | undefined> {
    const { clock, timeoutMs, store } = this.#options;
    const sentMs = clock.now();
    return new Promise((resolve) => {
      const end = (reply: CountedReply | undefined): void => {
        timer.cancel();
        this.#pending.delete(giveUp);
        resolve(reply);
      };
      const giveUp = (): void => end(undefined);
      const onLate = (): void => {
        this.#counts.timeouts += 1;
        this.#loseStore(new RateStoreError(`no answer in ${timeoutMs} ms`));
      };
      const timer = clock.schedule(timeoutMs, onLate, { holdsProcess: false });
      this.#pending.add(giveUp);
      callStore(() => store.take(request)).then(
        (reply) => {
          if (!this.#pending.has(giveUp)) return;
          if (reply.kind === 'settling') this.#beginShare(sentMs + reply.waitMs);
          end(reply.kind === 'settling' ? undefined : reply);
        },
        (error: unknown) => {
          if (this.#pending.has(giveUp)) this.#loseStore(error);
        },
      );
    });
  }

  /** One call has failed: the others are not waited for, so that no caller pays for what is known. */
  #loseStore(error: unknown): void {
    const wasJoined = this.#isJoined;
    this.#isJoined = false;
    this.#beginShare(Infinity);
    for (const giveUp of this.#pending) giveUp();
    if (!wasJoined || this.#isClosed) return;
    this.#rejoinLater();
    this.#emitter.emit('store-lost', { error });
  }

  /** What the store has counted until now may be all that there is: the share begins with nothing to spend. */
  #beginShare(countsFromMs: number): void {
    const nowMs = this.#options.clock.now();
    if (nowMs >= this.#countsFromMs) this.#share.begin(nowMs);
    this.#countsFromMs = countsFromMs;
  }

  #rejoinLater(): void {
    const { clock, rejoinEveryMs } = this.#options;
    if (this.#isClosed) return;
    // Not when somebody asks: an instance that is idle has to know too, or its share would count beside the store.
    const join = (): void => this.#join();
    this.#rejoin = clock.schedule(rejoinEveryMs, join, { holdsProcess: false });
  }

  /** Asks in the background whether the store is there; callers go on with the share. */
  #join(): void {
    const { clock, timeoutMs, store } = this.#options;
    const sentMs = clock.now();
    let isOver = false;
    const end = (isJoined: boolean): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      if (!isJoined || this.#isClosed) {
        this.#rejoinLater();
        return;
      }
      this.#isJoined = true;
      this.#countsFromMs = sentMs + this.#settleMs;
      this.#emitter.emit('store-joined', {});
    };
    const timer = clock.schedule(timeoutMs, () => end(false), { holdsProcess: false });
    callStore(() => store.join(this.#settleMs)).then(
      () => end(true),
      () => end(false),
    );
  }

  #withoutStore(request: RateRequest): RateLimitOutcome {
    const { clock, whenStoreDown, instances, rejoinEveryMs } = this.#options;
    if (whenStoreDown === 'refuse') {
      this.#counts.storeDown += 1;
      return { kind: 'store-down', retryAfterMs: rejoinEveryMs };
    }
    const sustained = shareOf(request.sustained, instances);
    const peak = shareOf(request.peak, instances);
    return this.#count(this.#share.take({ ...request, sustained, peak }, clock.now()), 'share');
  }

  #count(reply: CountedReply, by: CountedBy): RateLimitOutcome {
    if (reply.kind === 'limited') {
      this.#counts.limited += 1;
      return { ...reply, by };
    }
    this.#counts.allowed += 1;
    if (by === 'share') this.#counts.allowedByShare += 1;
    return { ...reply, by };
  }

  /** What the load leaves of the limit; a load that is no number, or throws, changes nothing. */
  #loadFactor(): number {
    const { load, floor } = this.#options;
    try {
      const given = load();
      if (!Number.isFinite(given)) return 1;
      return Math.max(floor, Math.min(1, 1 - given));
    } catch (error) {
      process.emitWarning(`the load of a rate limiter threw: ${describeValue(error)}`);
      return 1;
    }
  }
}

/** A store may throw instead of rejecting. */
async function callStore<T>(call: () => Promise<T>): Promise<T> {
  return call();
}
