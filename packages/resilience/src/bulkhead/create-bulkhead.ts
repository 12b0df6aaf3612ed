import { WORK_OPTIONS, checkCall, checkCallOptions } from '../check-call.ts';
import {
  type Clock,
  type Emitter,
  LinkedList,
  type ResolvedOptions,
  type Subscribe,
  type Timer,
  createEmitter,
  integer,
  objectWith,
  oneOf,
  parseOptions,
  string,
  systemClock,
  Waiter,
} from '@holdfast/foundation';
import { resolved, withoutStack } from '../cheap-errors.ts';
import { IdleWait, parseDrain } from '../drain.ts';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { type LateValueOptions, untilAborted } from '../until-aborted.ts';
import {
  BulkheadClearedError,
  BulkheadClosedError,
  BulkheadFullError,
  BulkheadTimeoutError,
} from './bulkhead-errors.ts';
import {
  type Bulkhead,
  type BulkheadCallOptions,
  type BulkheadCloseOptions,
  type BulkheadEvents,
  type BulkheadOptions,
  type BulkheadStats,
  type CallPriority,
  type Release,
  bulkheadEventKinds,
} from './bulkhead.ts';

const priorities = ['high', 'normal', 'low'] as const satisfies readonly CallPriority[];
const priorityRule = oneOf(priorities, 'normal');

const SLOT_OPTIONS = ['signal', 'priority'];
const RUN_OPTIONS = [...WORK_OPTIONS, 'priority'];

/** @throws InvalidOptionError */
function checkOptions(owner: string, options: BulkheadCallOptions, known: readonly string[]): void {
  checkCallOptions(owner, options, known);
  if (options.priority !== undefined) priorityRule.parse(options.priority, 'priority', owner);
}

/** Far above any sensible value; it is there so that no bound is infinite. */
const COUNT_MAX = 1_000_000;
/** The weight of the latest duration in the moving average. */
const LATEST_WEIGHT = 0.1;

const schema = {
  name: string({ maxLength: 200, default: 'bulkhead' }),
  maxConcurrent: integer({ min: 1, max: COUNT_MAX, default: 10 }),
  maxQueueSize: integer({ min: 0, max: COUNT_MAX, default: 100 }),
  queueTimeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 5_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Limits how many calls run at a time, and how many wait.
 * @throws InvalidOptionError
 */
export function createBulkhead(options?: BulkheadOptions): Bulkhead;
export function createBulkhead(name: string, options?: NameFirst<BulkheadOptions>): Bulkhead;
export function createBulkhead(
  first?: string | BulkheadOptions,
  second?: NameFirst<BulkheadOptions>,
): Bulkhead {
  const options = nameFirst<BulkheadOptions>('createBulkhead', first, second);
  return new QueueingBulkhead(parseOptions('createBulkhead', schema, options));
}

/** A call in the queue. It resolves with the time at which it got its slot. */
class QueuedCall extends Waiter<number> {
  readonly deadlineMs: number;
  readonly priority: CallPriority;
  readonly #onLeave: (call: QueuedCall) => void;

  constructor(
    deadlineMs: number,
    priority: CallPriority,
    signal: AbortSignal | undefined,
    onLeave: (call: QueuedCall) => void,
  ) {
    super(signal);
    this.deadlineMs = deadlineMs;
    this.priority = priority;
    this.#onLeave = onLeave;
  }

  protected override leaveQueue(): void {
    this.#onLeave(this);
  }
}

class QueueingBulkhead implements Bulkhead {
  readonly name: string;
  readonly on: Subscribe<BulkheadEvents>;
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #emitter: Emitter<BulkheadEvents> = createEmitter(
    'holdfast:bulkhead',
    bulkheadEventKinds,
  );
  readonly #queues = {
    high: new LinkedList<QueuedCall>(),
    normal: new LinkedList<QueuedCall>(),
    low: new LinkedList<QueuedCall>(),
  };
  readonly #onLeave = (call: QueuedCall): void => {
    if (this.#queues[call.priority].remove(call)) this.#countDeparture();
  };
  #active = 0;
  #queued = 0;
  #rejected = 0;
  #timedOut = 0;
  #completed = 0;
  #avgExecutionMs = 0;
  #closed = false;
  readonly #idle = new IdleWait();
  /** One timer for all queues: every call waits equally long, so the first of each queue is due first. */
  #expiry: Timer | undefined;

  constructor(options: ResolvedOptions<typeof schema>) {
    this.name = options.name;
    this.on = this.#emitter.on;
    this.#options = options;
  }

  tryAcquire(): Release | undefined {
    return this.#hasFreeSlot() ? this.#releaseFor(this.#begin()) : undefined;
  }

  async acquire(options?: BulkheadCallOptions): Promise<Release> {
    if (options !== undefined) checkOptions('bulkhead.acquire', options, SLOT_OPTIONS);
    options?.signal?.throwIfAborted();
    return this.#releaseFor(this.#hasFreeSlot() ? this.#begin() : await this.#enqueue(options));
  }

  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: BulkheadCallOptions & LateValueOptions<T>,
  ): Promise<T> {
    try {
      if (typeof fn !== 'function') checkCall('bulkhead.execute', fn, options);
      if (options !== undefined) checkOptions('bulkhead.execute', options, RUN_OPTIONS);
      options?.signal?.throwIfAborted();
      if (this.#hasFreeSlot()) return this.#run(fn, options, this.#begin());
      // Not an async function: while a call waits, its frame would be a third of the memory kept for it.
      return this.#enqueue(options).then((startMs) => this.#run(fn, options, startMs));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  getStats(): BulkheadStats {
    return {
      activeCount: this.#active,
      queuedCount: this.#queued,
      rejectedCount: this.#rejected,
      timedOutCount: this.#timedOut,
      completedCount: this.#completed,
      avgExecutionMs: this.#avgExecutionMs,
      maxConcurrent: this.#options.maxConcurrent,
      maxQueueSize: this.#options.maxQueueSize,
    };
  }

  clear(): void {
    this.#refuseQueue('cleared', () => new BulkheadClearedError(this.name));
  }

  async close(options?: BulkheadCloseOptions): Promise<void> {
    const { drain, deadlineMs, signal } = parseDrain('bulkhead.close', options);
    this.#closed = true;
    if (drain) {
      const isIdle = (): boolean => this.#active === 0 && this.#queued === 0;
      await this.#idle.wait(this.#options.clock, deadlineMs, signal, isIdle);
    }
    this.#refuseQueue('closed', () => new BulkheadClosedError(this.name));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #refuseQueue(reason: 'cleared' | 'closed', error: () => Error): void {
    for (const priority of priorities) {
      const queue = this.#queues[priority];
      for (let call = queue.shift(); call !== undefined; call = queue.shift()) {
        this.#countDeparture();
        this.#emitRejected(reason);
        call.refuse(error());
      }
    }
  }

  #hasFreeSlot(): boolean {
    return this.#active < this.#options.maxConcurrent && !this.#closed;
  }

  /** Takes a slot; returns the time, which `#end` needs. */
  #begin(): number {
    this.#active += 1;
    return this.#options.clock.now();
  }

  #end(startMs: number): void {
    this.#active -= 1;
    this.#completed += 1;
    const tookMs = this.#options.clock.now() - startMs;
    const weight = this.#completed === 1 ? 1 : LATEST_WEIGHT;
    this.#avgExecutionMs += (tookMs - this.#avgExecutionMs) * weight;
    if (this.#queued > 0) this.#admitNext();
    if (this.#closed) this.#idle.check();
  }

  #releaseFor(startMs: number): Release {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#end(startMs);
    };
  }

  async #run<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options: (BulkheadCallOptions & LateValueOptions<T>) | undefined,
    startMs: number,
  ): Promise<T> {
    const signal = options?.signal;
    if (signal !== undefined) return this.#runUntilAborted(fn, signal, options, startMs);
    try {
      return await fn(undefined);
    } finally {
      this.#end(startMs);
    }
  }

  #runUntilAborted<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    signal: AbortSignal,
    options: LateValueOptions<T> | undefined,
    startMs: number,
  ): Promise<T> {
    const inSlot = async (): Promise<T> => {
      try {
        // The signal may have aborted since the call got its slot.
        signal.throwIfAborted();
        return await fn(signal);
      } finally {
        this.#end(startMs);
      }
    };
    return untilAborted(inSlot, signal, options);
  }

  /** Puts a call that found no free slot into its queue. Resolves when it has a slot. */
  #enqueue(options: BulkheadCallOptions | undefined): Promise<number> {
    const priority = options?.priority ?? 'normal';
    if (this.#closed) {
      this.#emitRejected('closed');
      throw new BulkheadClosedError(this.name);
    }
    if (this.#queued < this.#options.maxQueueSize) return this.#wait(priority, options?.signal);
    const shed = this.#queueToShedFrom(priority)?.pop();
    if (shed === undefined) return rejectLater(this.#full());
    this.#queued -= 1;
    const admission = this.#wait(priority, options?.signal);
    shed.refuse(this.#full());
    return admission;
  }

  #wait(priority: CallPriority, signal: AbortSignal | undefined): Promise<number> {
    const { clock, queueTimeoutMs } = this.#options;
    const call = new QueuedCall(clock.now() + queueTimeoutMs, priority, signal, this.#onLeave);
    this.#queues[priority].append(call);
    this.#queued += 1;
    this.#armExpiry();
    return call.promise;
  }

  #admitNext(): void {
    const { high, normal, low } = this.#queues;
    const call = high.shift() ?? normal.shift() ?? low.shift();
    if (call === undefined) return;
    this.#countDeparture();
    call.admit(this.#begin());
  }

  /** The queue whose last call a more urgent one replaces: the least urgent queue that is not empty. */
  #queueToShedFrom(priority: CallPriority): LinkedList<QueuedCall> | undefined {
    const leastUrgent = this.#queues.low.size > 0 ? 'low' : 'normal';
    const isLessUrgent = priorities.indexOf(leastUrgent) > priorities.indexOf(priority);
    return isLessUrgent ? this.#queues[leastUrgent] : undefined;
  }

  /** Called after each departure from a queue: empty queues need no timer. */
  #countDeparture(): void {
    this.#queued -= 1;
    if (this.#queued > 0) return;
    this.#expiry?.cancel();
    this.#expiry = undefined;
  }

  #armExpiry(): void {
    if (this.#expiry !== undefined) {
      this.#expiry.rearm?.();
      return;
    }
    const { clock } = this.#options;
    let dueMs = Infinity;
    for (const priority of priorities) {
      dueMs = Math.min(dueMs, this.#queues[priority].first?.deadlineMs ?? Infinity);
    }
    if (dueMs === Infinity) return;
    const delayMs = Math.max(0, dueMs - clock.now());
    this.#expiry = clock.schedule(delayMs, () => this.#expire(dueMs), { holdsProcess: false });
  }

  /** @param firedMs the time for which the timer was armed; it counts, whatever a faked clock reads. */
  #expire(firedMs: number): void {
    const { clock, queueTimeoutMs } = this.#options;
    this.#expiry = undefined;
    const nowMs = Math.max(clock.now(), firedMs);
    for (const priority of priorities) {
      const queue = this.#queues[priority];
      while ((queue.first?.deadlineMs ?? Infinity) <= nowMs) {
        const call = queue.shift();
        this.#countDeparture();
        this.#timedOut += 1;
        this.#emitRejected('timeout');
        call?.refuse(new BulkheadTimeoutError(this.name, queueTimeoutMs, this.#retryAfterMs()));
      }
    }
    this.#armExpiry();
  }

  /** How long the current queue will take, by the average of past calls. */
  #retryAfterMs(): number | undefined {
    if (this.#completed === 0) return undefined;
    return Math.ceil((this.#avgExecutionMs * (this.#queued + 1)) / this.#options.maxConcurrent);
  }

  #full(): BulkheadFullError {
    const { maxConcurrent, maxQueueSize } = this.#options;
    this.#rejected += 1;
    this.#emitRejected('full');
    const seen =
      `${this.#active} of ${maxConcurrent} slots taken, ` +
      `${this.#queued} of ${maxQueueSize} places in the queue`;
    return withoutStack(() => new BulkheadFullError(this.name, seen, this.#retryAfterMs()));
  }

  #emitRejected(reason: BulkheadEvents['rejected']['reason']): void {
    const { name } = this;
    if (this.#emitter.hasListeners('rejected')) this.#emitter.emit('rejected', { name, reason });
  }
}

async function rejectLater(error: BulkheadFullError): Promise<never> {
  await resolved;
  throw error;
}
