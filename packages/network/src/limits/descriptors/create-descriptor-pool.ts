import type { FileHandle } from 'node:fs/promises';
import type { NetConnectOpts, Socket } from 'node:net';
import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  type Subscribe,
  abortable,
  callSafely,
  createEmitter,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { NetworkClosedError } from '../../errors.ts';
import type { ResourceBudget, ResourceReservation } from '../budget/budget.ts';
import { createBudget } from '../budget/create-budget.ts';
import { descriptorsLeft, isExhausted, shortageOf } from './descriptor-limit.ts';
import { fileSource, socketSource } from './descriptor-sources.ts';
import { BudgetExhaustedError, DescriptorsExhaustedError } from '../errors.ts';
import {
  type DescriptorOptions,
  type DescriptorLease,
  type DescriptorPool,
  type DescriptorPoolEvents,
  type DescriptorPoolOptions,
  type DescriptorPoolStats,
  type DescriptorSource,
  type OpenFileOptions,
  descriptorPoolEventKinds,
} from './descriptor-pool.ts';
import { RetryLine } from './retry-line.ts';

const schema = {
  budget: optional(objectWith<ResourceBudget>(['reserve', 'tryReserve', 'on', 'getStats'])),
  maxOpen: optional(integer({ min: 1, max: 1_000_000_000 })),
  timeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 5_000 }),
  maxWaiting: integer({ min: 0, max: 1_000_000, default: 1_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};
const acquireSchema = {
  timeoutMs: optional(integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
};

/**
 * Opens files and sockets within a limit, so that the process never runs out of descriptors.
 * @throws InvalidOptionError
 */
export function createDescriptorPool(options: DescriptorPoolOptions = {}): DescriptorPool {
  const resolved = parseOptions('createDescriptorPool', schema, options);
  const { budget, maxOpen = descriptorsLeft(), clock, maxWaiting } = resolved;
  if (budget !== undefined && options.maxOpen !== undefined) {
    const permitted = 'left out beside a budget, which has the limit';
    throw new InvalidOptionError('createDescriptorPool', 'maxOpen', maxOpen, permitted);
  }
  if (budget !== undefined && budget.getStats().limits.descriptors === 0) {
    const permitted = 'a budget with a limit of descriptors';
    throw new InvalidOptionError('createDescriptorPool', 'budget', budget, permitted);
  }
  const limits = { descriptors: maxOpen };
  return new LeasingPool(
    budget ?? createBudget({ name: 'descriptors', limits, evictAt: 0.85, maxWaiting, clock }),
    budget === undefined,
    resolved.timeoutMs,
    clock,
  );
}

/** One open handle: in use while `leases` is over 0, else idle. */
interface OpenHandle {
  readonly handle: unknown;
  readonly reservation: ResourceReservation;
  readonly key: string | undefined;
  readonly close: () => unknown;
  leases: number;
}

interface Call {
  readonly signal: AbortSignal | undefined;
  readonly endsAtMs: number;
}

class LeasingPool implements DescriptorPool {
  readonly on: Subscribe<DescriptorPoolEvents>;
  readonly #emitter: Emitter<DescriptorPoolEvents> = createEmitter(
    'holdfast:descriptors',
    descriptorPoolEventKinds,
  );
  readonly #budget: ResourceBudget;
  readonly #ownsBudget: boolean;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #line: RetryLine;
  readonly #stopEvicting: () => void;
  readonly #shared = new Map<string, OpenHandle>();
  /** Those of `#shared` without a lease, the least recently used first. */
  readonly #idle = new Set<OpenHandle>();
  readonly #opening = new Map<string, Promise<unknown>>();
  #inUse = 0;
  #calls = 0;
  #exhausted = 0;
  #evicted = 0;
  #closed = false;

  constructor(budget: ResourceBudget, ownsBudget: boolean, timeoutMs: number, clock: Clock) {
    this.on = this.#emitter.on;
    this.#budget = budget;
    this.#ownsBudget = ownsBudget;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#line = new RetryLine(clock);
    this.#stopEvicting = budget.on('evict', ({ resource, amount }) => {
      if (resource === 'descriptors') this.#evict(amount);
    });
  }

  async acquire<T>(
    source: DescriptorSource<T>,
    options: DescriptorOptions = {},
  ): Promise<DescriptorLease<T>> {
    const { signal } = options;
    const { timeoutMs = this.#timeoutMs } = parseOptions('pool.acquire', acquireSchema, {
      timeoutMs: options.timeoutMs,
    });
    signal?.throwIfAborted();
    const call = { signal, endsAtMs: this.#clock.now() + timeoutMs };
    const { key } = source;
    if (key === undefined) return this.#lease(await this.#openNew(source, call));
    for (;;) {
      const held = await this.#holdCurrent(key, source);
      if (held !== undefined) return this.#lease(held);
      const others = this.#opening.get(key);
      if (others === undefined) break;
      // What became of it is looked up again: its caller may have given up.
      const settled = others.then(ignore, ignore);
      await (signal === undefined ? settled : abortable(settled, signal));
    }
    const opening = this.#openNew(source, call);
    this.#opening.set(key, opening);
    try {
      const opened = await opening;
      this.#shared.set(key, opened);
      return this.#lease(opened);
    } finally {
      this.#opening.delete(key);
    }
  }

  openFile(path: string, options: OpenFileOptions = {}): Promise<DescriptorLease<FileHandle>> {
    const { signal, timeoutMs, ...file } = options;
    return this.acquire(fileSource(path, file), {
      ...(signal === undefined ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  async connect(
    target: NetConnectOpts,
    options?: DescriptorOptions,
  ): Promise<DescriptorLease<Socket>> {
    const lease = await this.acquire(socketSource(target), options);
    lease.handle.once('close', () => void lease.release());
    // It may have closed meanwhile, and its errors are the caller's from here on.
    if (lease.handle.closed) await lease.release();
    return lease;
  }

  getStats(): DescriptorPoolStats {
    const { limits, waiting } = this.#budget.getStats();
    return {
      inUse: this.#inUse,
      idle: this.#idle.size,
      limit: limits.descriptors,
      waiting: waiting + this.#line.size,
      exhausted: this.#exhausted,
      evicted: this.#evicted,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopEvicting();
    this.#line.close(() => new NetworkClosedError('the descriptor pool'));
    if (this.#ownsBudget) this.#budget.close();
    await Promise.all([...this.#idle].map((handle) => this.#closeHandle(handle)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Holds the open handle of a key, if its key still names it. */
  async #holdCurrent<T>(key: string, source: DescriptorSource<T>): Promise<OpenHandle | undefined> {
    if (this.#closed) throw new NetworkClosedError('the descriptor pool');
    const found = this.#shared.get(key);
    if (found === undefined) return undefined;
    // In use from here on, so that it is not evicted meanwhile.
    this.#hold(found);
    if (source.isCurrent === undefined) return found;
    const asked = Promise.resolve(source.isCurrent(handleOf<T>(found)));
    if (await asked.catch(() => false)) return found;
    if (this.#shared.get(key) === found) this.#shared.delete(key);
    await this.#letGo(found);
    return undefined;
  }

  async #openNew<T>(source: DescriptorSource<T>, call: Call): Promise<OpenHandle> {
    if (this.#closed) throw new NetworkClosedError('the descriptor pool');
    this.#calls += 1;
    const order = this.#calls;
    const reservation = await this.#reserve(call);
    try {
      const handle = await this.#openInOrder(source, order, call);
      const close = (): unknown => source.close(handle);
      const opened = { handle, reservation, key: source.key, close, leases: 0 };
      this.#hold(opened);
      return opened;
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  async #reserve({ signal, endsAtMs }: Call): Promise<ResourceReservation> {
    const timeoutMs = Math.max(1, Math.ceil(endsAtMs - this.#clock.now()));
    try {
      return await this.#budget.reserve({ descriptors: 1 }, { signal, timeoutMs });
    } catch (error) {
      if (error instanceof BudgetExhaustedError)
        throw this.#error('the pool has no free one', error);
      throw error;
    }
  }

  async #openInOrder<T>(source: DescriptorSource<T>, order: number, call: Call): Promise<T> {
    let cause: unknown;
    let mustWait = this.#line.isBlocked;
    for (;;) {
      if (mustWait)
        await this.#line.wait(
          order,
          this.#turn(call, () => cause),
        );
      const before = this.#exhausted;
      try {
        const handle = await openUnlessAborted(source, call.signal);
        this.#line.ended(order);
        return handle;
      } catch (error) {
        if (!this.#isShortage(error, before)) {
          this.#line.ended(order);
          throw error;
        }
        cause = error;
        mustWait = true;
        this.#exhausted += 1;
        this.#line.failed(order);
        this.#emitter.emit('exhausted', { inUse: this.#inUse, idle: this.#idle.size, cause });
        this.#evict(1);
      }
    }
  }

  #turn({ signal, endsAtMs }: Call, cause: () => unknown): Parameters<RetryLine['wait']>[1] {
    return {
      signal,
      timeoutMs: Math.max(0, endsAtMs - this.#clock.now()),
      late: () => this.#error('the system has no free one (EMFILE)', cause()),
    };
  }

  /** @param before how often there was a shortage when the call began: an error of that time is not believed. */
  #isShortage(error: unknown, before: number): boolean {
    const shortage = shortageOf(error);
    return (
      shortage === 'certain' ||
      (shortage === 'doubtful' && (this.#exhausted !== before || isExhausted()))
    );
  }

  #lease<T>(opened: OpenHandle): DescriptorLease<T> {
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => (released ??= this.#letGo(opened));
    return { handle: handleOf<T>(opened), release, [Symbol.asyncDispose]: release };
  }

  #hold(opened: OpenHandle): void {
    if (opened.leases === 0) this.#inUse += 1;
    opened.leases += 1;
    this.#idle.delete(opened);
  }

  async #letGo(opened: OpenHandle): Promise<void> {
    opened.leases -= 1;
    if (opened.leases > 0) return;
    this.#inUse -= 1;
    const isShared = opened.key !== undefined && this.#shared.get(opened.key) === opened;
    // Room is wanted now: nothing is kept idle.
    const isWanted = this.#line.size > 0 || this.#budget.level('descriptors') !== 'free';
    if (!isShared || this.#closed || isWanted) await this.#closeHandle(opened);
    else this.#idle.add(opened);
  }

  #evict(amount: number): void {
    for (const opened of [...this.#idle].slice(0, amount)) {
      this.#evicted += 1;
      this.#emitter.emit('evicted', { key: opened.key ?? '' });
      callSafely('closing an idle descriptor', () => this.#closeHandle(opened));
    }
  }

  async #closeHandle(opened: OpenHandle): Promise<void> {
    this.#idle.delete(opened);
    if (opened.key !== undefined && this.#shared.get(opened.key) === opened) {
      this.#shared.delete(opened.key);
    }
    try {
      await opened.close();
    } finally {
      opened.reservation.release();
      this.#line.tryNext();
    }
  }

  #error(seen: string, cause: unknown): DescriptorsExhaustedError {
    const { limit, inUse, idle } = this.getStats();
    return new DescriptorsExhaustedError({ limit, inUse, idle }, seen, cause);
  }
}

const ignore = (): void => {};

/** A handle is of the type of the source that its key belongs to. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- one key, one kind of handle
function handleOf<T>(opened: OpenHandle): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same
  return opened.handle as T;
}

/** Rejects as soon as the signal aborts; what is opened later is closed. */
async function openUnlessAborted<T>(
  source: DescriptorSource<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const opening = Promise.resolve(source.open(signal));
  if (signal === undefined) return opening;
  return abortable(opening, signal, () => {
    opening.then(
      (handle) => callSafely('closing what was opened too late', () => source.close(handle)),
      ignore,
    );
  });
}
