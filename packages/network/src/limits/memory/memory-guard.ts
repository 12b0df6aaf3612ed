import {
  type Clock,
  type Emitter,
  type ResolvedOptions,
  type Subscribe,
  type Timer,
  callback,
  createEmitter,
  integer,
  number,
  objectWith,
  optional,
  parseOptions,
  systemClock,
  InvalidOptionError,
  type EventKinds,
} from '@holdfast/foundation';
import { NetworkClosedError } from '../../errors.ts';
import type { ResourceBudget, BudgetLevel, ReserveOptions } from '../budget/budget.ts';
import { createBudget } from '../budget/create-budget.ts';
import { MemoryExhaustedError } from '../errors.ts';
import { containerLimit, oldSpaceLimit, oldSpaceUsed } from './memory-readings.ts';

/** What is used and what may be, in bytes. */
export interface MemoryReading {
  /** Of the heap, without the young generation. */
  readonly heapUsed: number;
  readonly heapLimit: number;
  readonly rss: number;
  /** `undefined` where neither the container nor an option limits it. */
  readonly rssLimit: number | undefined;
}

/** Options of `createMemoryGuard`. All times in milliseconds. */
export interface MemoryGuardOptions {
  /** How much resident memory the process may take; the limit of its container applies if it is lower. */
  maxRssBytes?: number;
  /** How much is admitted at a time. Default a quarter of the smaller limit. */
  maxAdmittedBytes?: number;
  /** Shares of the limits from which on `evict`, `shed` and `refuse` hold. Default 0.7, 0.85 and 0.95. */
  evictAt?: number;
  /** The share of the limits from which on what is not urgent is refused. Default 0.85. */
  shedAt?: number;
  /** The share of the limits from which on everything is refused. Default 0.95. */
  refuseAt?: number;
  /** How often the memory is read, in milliseconds; each admission reads it as well. Default 100. */
  intervalMs?: number;
  /** How long an admission waits, in milliseconds. Default 5 000. */
  timeoutMs?: number;
  /** For tests. Default: what V8 and the system say. */
  read?: () => MemoryReading;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The events of a memory guard, by name. */
export interface MemoryGuardEvents {
  level: { readonly level: BudgetLevel; readonly reading: MemoryReading };
  /** So many bytes are wanted back of what is kept without need, such as by a cache. */
  evict: { readonly amount: number };
}

const memoryGuardEventKinds: EventKinds<MemoryGuardEvents> = { level: true, evict: true };

/** What a memory guard knows, has admitted and refused, read at any time. */
export interface MemoryGuardStats extends MemoryReading {
  readonly level: BudgetLevel;
  readonly admittedBytes: number;
  readonly waiting: number;
  /** Calls refused since the start. */
  readonly refused: number;
  /** What is wrong with the limits themselves, and the flag to set. */
  readonly warning: string | undefined;
}

/**
 * Keeps the process from dying of its memory: bytes are admitted before they are buffered or parsed, because the heap
 * can fill within one turn, before any timer sees it; and what is kept is wanted back in time.
 */
export interface MemoryGuard {
  readonly on: Subscribe<MemoryGuardEvents>;
  readonly level: BudgetLevel;
  /**
   * Calls `fn` with the bytes reserved until it has settled: what it will take, not what arrives (a JSON text takes up
   * to ten times its length).
   * @throws MemoryExhaustedError, BudgetExhaustedError, InvalidOptionError, or the signal's own reason
   */
  admit<T>(bytes: number, fn: () => T | PromiseLike<T>, options?: ReserveOptions): Promise<T>;
  /** Reads the memory now. */
  check(): MemoryReading;
  getStats(): MemoryGuardStats;
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A level falls only when the use is this share below its mark. */
const HYSTERESIS = 0.05;
const LEVELS = ['free', 'evict', 'shed', 'refuse'] as const satisfies readonly BudgetLevel[];
const bytes = integer({ min: 1_048_576, max: Number.MAX_SAFE_INTEGER });
const wantedBytes = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const share = (absent: number): ReturnType<typeof number> =>
  number({ min: 0.01, max: 1, default: absent });
const schema = {
  maxRssBytes: optional(bytes),
  maxAdmittedBytes: optional(bytes),
  evictAt: share(0.7),
  shedAt: share(0.85),
  refuseAt: share(0.95),
  intervalMs: integer({ min: 1, max: 3_600_000, default: 100 }),
  timeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 5_000 }),
  read: optional(callback<() => MemoryReading>()),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Admits work by the memory that it will take, and refuses it before the process or its container is killed.
 * @throws InvalidOptionError
 */
export function createMemoryGuard(options: MemoryGuardOptions = {}): MemoryGuard {
  const resolved = parseOptions('createMemoryGuard', schema, options);
  const { evictAt, shedAt, refuseAt } = resolved;
  if (evictAt > shedAt || shedAt > refuseAt) {
    const permitted = 'evictAt <= shedAt <= refuseAt';
    throw new InvalidOptionError('createMemoryGuard', 'shedAt', shedAt, permitted);
  }
  return new ReadingGuard(resolved);
}

/** Reads V8 and the system, whose limits stay as they are at the start. */
function systemReader(maxRssBytes: number | undefined): () => MemoryReading {
  const heapLimit = oldSpaceLimit();
  const least = Math.min(containerLimit() ?? Infinity, maxRssBytes ?? Infinity);
  const rssLimit = Number.isFinite(least) ? least : undefined;
  return () => ({ heapUsed: oldSpaceUsed(), heapLimit, rss: process.memoryUsage.rss(), rssLimit });
}

class ReadingGuard implements MemoryGuard {
  readonly on: Subscribe<MemoryGuardEvents>;
  readonly #emitter: Emitter<MemoryGuardEvents> = createEmitter(
    'holdfast:memory',
    memoryGuardEventKinds,
  );
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #read: () => MemoryReading;
  readonly #budget: ResourceBudget;
  readonly #warning: string | undefined;
  #level: BudgetLevel = 'free';
  #timer: Timer | undefined;
  #refused = 0;
  #closed = false;

  constructor(options: ResolvedOptions<typeof schema>) {
    this.on = this.#emitter.on;
    this.#options = options;
    this.#read = options.read ?? systemReader(options.maxRssBytes);
    const { heapLimit, rssLimit = Infinity } = this.#read();
    this.#budget = createBudget({
      name: 'memory',
      limits: {
        bytes:
          options.maxAdmittedBytes ?? Math.max(1, Math.floor(Math.min(heapLimit, rssLimit) / 4)),
      },
      timeoutMs: options.timeoutMs,
      clock: options.clock,
    });
    this.#warning = warningOf(heapLimit, rssLimit);
    if (this.#warning !== undefined) process.emitWarning(this.#warning);
    this.#arm();
  }

  get level(): BudgetLevel {
    return this.#level;
  }

  async admit<T>(
    wanted: number,
    fn: () => T | PromiseLike<T>,
    options: ReserveOptions = {},
  ): Promise<T> {
    if (this.#closed) throw new NetworkClosedError('the memory guard');
    wantedBytes.parse(wanted, 'bytes', 'memoryGuard.admit');
    this.#refuseWhenShort(wanted, options.priority ?? 'normal');
    const reservation = await this.#budget.reserve({ bytes: wanted }, options);
    try {
      // It may have waited until there is less; its own bytes are counted with what is admitted.
      this.#refuseWhenShort(0, options.priority ?? 'normal');
      return await fn();
    } finally {
      reservation.release();
    }
  }

  check(): MemoryReading {
    const reading = this.#read();
    const used = shareOf(reading);
    const { evictAt, shedAt, refuseAt } = this.#options;
    const marks = [0, evictAt, shedAt, refuseAt];
    const before = LEVELS.indexOf(this.#level);
    let at = marks.findLastIndex((mark) => used >= mark);
    if (at < before)
      at = Math.min(
        before,
        marks.findLastIndex((mark) => used >= mark - HYSTERESIS),
      );
    const level = LEVELS[Math.max(0, at)] ?? 'free';
    if (level !== 'free' && used > evictAt)
      this.#emitter.emit('evict', { amount: overOf(reading, evictAt) });
    if (level !== this.#level) {
      this.#level = level;
      this.#emitter.emit('level', { level, reading });
    }
    return reading;
  }

  getStats(): MemoryGuardStats {
    const { used, waiting, refused } = this.#budget.getStats();
    return {
      ...this.#read(),
      level: this.#level,
      admittedBytes: used.bytes,
      waiting,
      refused: this.#refused + refused,
      warning: this.#warning,
    };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#budget.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #refuseWhenShort(wanted: number, priority: 'normal' | 'low'): void {
    const reading = this.check();
    const { shedAt, refuseAt } = this.#options;
    const mark = priority === 'low' ? shedAt : refuseAt;
    // What others have been admitted with is not in the heap yet.
    const coming = this.#budget.getStats().used.bytes + wanted;
    for (const kind of ['heap', 'rss'] as const) {
      const used = kind === 'heap' ? reading.heapUsed : reading.rss;
      const limit = kind === 'heap' ? reading.heapLimit : reading.rssLimit;
      if (limit === undefined || used + coming <= limit * mark) continue;
      this.#refused += 1;
      throw new MemoryExhaustedError(kind, used, limit);
    }
  }

  #arm(): void {
    const { clock, intervalMs } = this.#options;
    const onDue = (): void => {
      this.check();
      if (!this.#closed) this.#arm();
    };
    this.#timer = clock.schedule(intervalMs, onDue, { holdsProcess: false });
  }
}

function shareOf({ heapUsed, heapLimit, rss, rssLimit }: MemoryReading): number {
  return Math.max(heapUsed / heapLimit, rssLimit === undefined ? 0 : rss / rssLimit);
}

function overOf({ heapUsed, heapLimit, rss, rssLimit }: MemoryReading, mark: number): number {
  const overRss = rssLimit === undefined ? 0 : rss - mark * rssLimit;
  return Math.max(1, Math.ceil(heapUsed - mark * heapLimit), Math.ceil(overRss));
}

/** V8 sees a limit of its own: over that of the container, the kernel kills the process before V8 collects. */
function warningOf(heapLimit: number, rssLimit: number): string | undefined {
  if (heapLimit <= rssLimit * 0.9) return undefined;
  const mib = (size: number): number => Math.floor(size / 1_048_576);
  return (
    `memory guard: the heap may grow to ${mib(heapLimit)} MiB and the process has ${mib(rssLimit)} MiB; ` +
    `start it with --max-old-space-size=${Math.max(16, mib(rssLimit * 0.6))}`
  );
}
