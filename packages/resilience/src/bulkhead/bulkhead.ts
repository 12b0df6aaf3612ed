import { Waiter } from '../waiter.ts';
import {
  BulkheadClearedError,
  BulkheadClosedError,
  BulkheadFullError,
  BulkheadTimeoutError,
} from './bulkhead-errors.ts';
import {
  type Clock,
  createEmitter,
  objectWith,
  integer,
  LinkedList,
  type Subscribe,
  oneOf,
  parseOptions,
  systemClock,
  string,
  type Timer,
} from '@holdfast/foundation';
import { soon, withoutStack } from '../cheap-errors.ts';

/** Who is served first when calls wait; within one class, first come, first served. */
export type Priority = 'high' | 'normal' | 'low';

/** Gives the slot back; calling it again does nothing. */
export type Release = () => void;

export interface BulkheadOptions {
  /** Appears in errors and events. Default `bulkhead`. */
  name?: string;
  /** How many calls run at a time. Default 10. */
  maxConcurrent?: number;
  /** How many calls wait for a slot; further ones are refused. 0 refuses at once. Default 100. */
  maxQueueSize?: number;
  /** How long a call waits for a slot, in milliseconds. Default 5 000. */
  queueTimeoutMs?: number;
  clock?: Clock;
}

export interface AcquireOptions {
  /** Leaves the queue at once when aborted, with the signal's own reason. */
  signal?: AbortSignal | undefined;
  /** Default `normal`. */
  priority?: Priority | undefined;
}

export interface BulkheadStats {
  readonly activeCount: number;
  readonly queuedCount: number;
  /** Calls refused since the start because there was no room, the shed ones included. */
  readonly rejectedCount: number;
  /** Calls that waited in vain for `queueTimeoutMs`. */
  readonly timedOutCount: number;
  /** Slots given back since the start. */
  readonly completedCount: number;
  /** How long a slot is held: exponential moving average, the last call weighing a tenth. */
  readonly avgExecutionMs: number;
  readonly maxConcurrent: number;
  readonly maxQueueSize: number;
}

export interface BulkheadEvents {
  rejected: { name: string; reason: 'full' | 'timeout' | 'cleared' | 'closed' };
}

/**
 * Limits how many calls run at a time, so that one slow dependency cannot take every resource.
 *
 *            a slot is free, nobody waits
 *   arrival ------------------------------> running --release--> done
 *      | all slots taken                      ^
 *      v                   next in line       |
 *   waiting ----------------------------------+
 *      | abort, timeout, clear, shed by a more urgent call
 *      v
 *   refused (the function was never called)
 *
 * A slot that comes free goes straight to the next in line, within the release itself, so that no
 * newcomer finds it free. Capacity counts held slots: it comes back when the work has really settled.
 */
export interface Bulkhead {
  readonly name: string;
  /** A slot, if one is free now. */
  tryAcquire(): Release | undefined;
  /**
   * A slot, after waiting in line if need be.
   * @throws BulkheadFullError, BulkheadTimeoutError, BulkheadClearedError, BulkheadClosedError, or the
   * signal's own reason.
   */
  acquire(options?: AcquireOptions): Promise<Release>;
  /** Calls `fn` in a slot, which is given back when what `fn` returned has settled. Throws as `acquire`. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: AcquireOptions,
  ): Promise<T>;
  getStats(): BulkheadStats;
  readonly on: Subscribe<BulkheadEvents>;
  /** Refuses every waiting call with BulkheadClearedError; running ones go on. */
  clear(): void;
  /** Clears the queue and refuses every further call; running ones go on. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A call in the queue; it is told when it was admitted. */
class QueuedCall extends Waiter<number> {
  readonly deadlineMs: number;
  readonly priority: Priority;
  readonly #abandoned: (waiter: QueuedCall) => void;

  constructor(
    deadlineMs: number,
    priority: Priority,
    signal: AbortSignal | undefined,
    abandoned: (waiter: QueuedCall) => void,
  ) {
    super(signal);
    this.deadlineMs = deadlineMs;
    this.priority = priority;
    this.#abandoned = abandoned;
  }

  protected override leaveQueue(): void {
    this.#abandoned(this);
  }
}

const priorities = ['high', 'normal', 'low'] as const satisfies readonly Priority[];
const priorityRule = oneOf(priorities, 'normal');

/** Far above any sensible setting: only there so that no bound is infinite. */
const COUNT_MAX = 1_000_000;

/** Weight of the latest duration in the moving average. */
const LATEST_WEIGHT = 0.1;

const shape = {
  name: string({ maxLength: 200, default: 'bulkhead' }),
  maxConcurrent: integer({ min: 1, max: COUNT_MAX, default: 10 }),
  maxQueueSize: integer({ min: 0, max: COUNT_MAX, default: 100 }),
  queueTimeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 5_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError */
export function createBulkhead(options?: BulkheadOptions): Bulkhead {
  const settled = parseOptions('createBulkhead', shape, options);
  const { name, maxConcurrent, maxQueueSize, queueTimeoutMs, clock } = settled;
  const announcer = createEmitter<BulkheadEvents>('holdfast:bulkhead');

  const lines = {
    high: new LinkedList<QueuedCall>(),
    normal: new LinkedList<QueuedCall>(),
    low: new LinkedList<QueuedCall>(),
  };
  let active = 0;
  let queued = 0;
  let rejected = 0;
  let timedOut = 0;
  let completed = 0;
  let avgExecutionMs = 0;
  let closed = false;
  let expiry: Timer | undefined;

  const announceRejected = (reason: BulkheadEvents['rejected']['reason']): void => {
    if (announcer.hasListeners('rejected')) announcer.emit('rejected', { name, reason });
  };

  /** Takes a slot; gives the moment, which `end` wants back. */
  const begin = (): number => {
    active += 1;
    return clock.now();
  };

  const end = (beganMs: number): void => {
    active -= 1;
    completed += 1;
    const tookMs = clock.now() - beganMs;
    avgExecutionMs += completed === 1 ? tookMs : (tookMs - avgExecutionMs) * LATEST_WEIGHT;
    if (queued > 0) admitNext();
  };

  const releaseOf = (beganMs: number): Release => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      end(beganMs);
    };
  };

  const admitNext = (): void => {
    const waiter = lines.high.shift() ?? lines.normal.shift() ?? lines.low.shift();
    if (waiter === undefined) return;
    left();
    waiter.admit(begin());
  };

  /** After each departure from a line: an empty queue keeps no timer. */
  const left = (): void => {
    queued -= 1;
    if (queued > 0) return;
    expiry?.cancel();
    expiry = undefined;
  };

  // One timer for the whole queue: every call waits equally long, so the first in each line is due first.
  const armExpiry = (): void => {
    if (expiry !== undefined) return;
    let dueMs = Infinity;
    for (const priority of priorities) {
      dueMs = Math.min(dueMs, lines[priority].first?.deadlineMs ?? Infinity);
    }
    if (dueMs === Infinity) return;
    expiry = clock.schedule(Math.max(0, dueMs - clock.now()), expire, { holdsProcess: false });
  };

  const expire = (): void => {
    expiry = undefined;
    const nowMs = clock.now();
    for (const priority of priorities) {
      const line = lines[priority];
      while ((line.first?.deadlineMs ?? Infinity) <= nowMs) {
        const waiter = line.shift();
        left();
        timedOut += 1;
        announceRejected('timeout');
        waiter?.refuse(new BulkheadTimeoutError(name, queueTimeoutMs, retryAfterMs()));
      }
    }
    armExpiry();
  };

  /** When the queue of this moment will have been worked off, as far as past calls tell. */
  const retryAfterMs = (): number | undefined =>
    completed === 0 ? undefined : Math.ceil((avgExecutionMs * (queued + 1)) / maxConcurrent);

  const full = (): BulkheadFullError => {
    rejected += 1;
    announceRejected('full');
    const seen = `${active} of ${maxConcurrent} slots taken, ${queued} of ${maxQueueSize} places in the queue`;
    return withoutStack(() => new BulkheadFullError(name, seen, retryAfterMs()));
  };

  /** Whose place a more urgent call takes: the last to come of the least urgent class. */
  const victimLine = (priority: Priority): LinkedList<QueuedCall> | undefined => {
    const leastUrgent = lines.low.size > 0 ? 'low' : 'normal';
    const outranked = priorities.indexOf(leastUrgent) > priorities.indexOf(priority);
    return outranked ? lines[leastUrgent] : undefined;
  };

  const abandoned = (waiter: QueuedCall): void => {
    if (lines[waiter.priority].remove(waiter)) left();
  };

  const wait = (priority: Priority, signal: AbortSignal | undefined): Promise<number> => {
    const waiter = new QueuedCall(clock.now() + queueTimeoutMs, priority, signal, abandoned);
    lines[priority].append(waiter);
    queued += 1;
    armExpiry();
    return waiter.promise;
  };

  const isFree = (): boolean => active < maxConcurrent && !closed;

  /** For a call that found no free slot: a place in the queue, or the refusal. */
  const queue = (given: AcquireOptions | undefined): Promise<number> => {
    const priority =
      given?.priority === undefined
        ? 'normal'
        : priorityRule.parse(given.priority, 'priority', 'bulkhead.acquire');
    if (closed) {
      announceRejected('closed');
      throw new BulkheadClosedError(name);
    }
    if (queued < maxQueueSize) return wait(priority, given?.signal);
    const victim = victimLine(priority)?.pop();
    if (victim === undefined) return refuseSoon(full());
    queued -= 1;
    const admission = wait(priority, given?.signal);
    victim.refuse(full());
    return admission;
  };

  const run = async <T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    signal: AbortSignal | undefined,
    beganMs: number,
  ): Promise<T> => {
    try {
      // The abort may have come between the admission and this moment.
      signal?.throwIfAborted();
      return await fn(signal);
    } finally {
      end(beganMs);
    }
  };

  const clear = (): void => {
    for (const priority of priorities) {
      const line = lines[priority];
      for (let waiter = line.shift(); waiter !== undefined; waiter = line.shift()) {
        left();
        announceRejected('cleared');
        waiter.refuse(new BulkheadClearedError(name));
      }
    }
  };

  const close = async (): Promise<void> => {
    closed = true;
    clear();
  };

  return {
    name,
    tryAcquire: () => (isFree() ? releaseOf(begin()) : undefined),
    async acquire(given) {
      given?.signal?.throwIfAborted();
      return releaseOf(isFree() ? begin() : await queue(given));
    },
    execute(fn, given) {
      const signal = given?.signal;
      try {
        signal?.throwIfAborted();
        if (isFree()) return run(fn, signal, begin());
        // Not an async function: while a call waits, its frame would be a third of what is kept of it.
        return queue(given).then((beganMs) => run(fn, signal, beganMs));
      } catch (error) {
        return Promise.reject(error);
      }
    },
    getStats: () => ({
      activeCount: active,
      queuedCount: queued,
      rejectedCount: rejected,
      timedOutCount: timedOut,
      completedCount: completed,
      avgExecutionMs,
      maxConcurrent,
      maxQueueSize,
    }),
    on: announcer.on,
    clear,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function refuseSoon(error: BulkheadFullError): Promise<never> {
  await soon;
  throw error;
}
