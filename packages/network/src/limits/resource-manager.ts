import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  type ResolvedOptions,
  type Subscribe,
  type Timer,
  abortable,
  callback,
  createEmitter,
  integer,
  number,
  object,
  objectWith,
  optional,
  parseOptions,
  systemClock,
  withDeadline,
  type EventKinds,
} from '@holdfast/foundation';
import type { DiskGuard } from './disk/disk-guard.ts';
import type { MemoryGuard } from './memory/memory-guard.ts';

/** One thing to do; it is given up at `stepTimeoutMs`, when its signal aborts. */
export type ResourceAction = (signal: AbortSignal) => unknown;

/** Options of `createResourceManager`. Without an option, its step is left out. */
export interface ResourceManagerOptions {
  /** Tells when memory is high: then `evictOldEntries` is called, and after it the garbage collector, if exposed. */
  memory?: MemoryGuard;
  /** Called when memory is high: drops what can be loaded again. */
  evictOldEntries?: ResourceAction;
  /** Default: `globalThis.gc`, which `--expose-gc` gives, else nothing. */
  forceGarbageCollection?: ResourceAction;
  /** The shortest time between two collections, in milliseconds. Default 10 000. */
  collectEveryMs?: number;
  /** Tells when the disk is low: then `removeOldLogs` is called, and `compressOldData` while it is low. */
  disk?: DiskGuard;
  /** Called when the disk is low: removes what nobody needs. */
  removeOldLogs?: ResourceAction;
  /** Called while the disk is still low: compresses what is rarely read. */
  compressOldData?: ResourceAction;
  /** Called each time. */
  optimizeConnectionPool?: ResourceAction;
  /** Called each time, after `optimizeConnectionPool`. */
  adjustPoolSize?: ResourceAction;
  /** Slows producers down, and sheds load, by the size of a queue. Default: nothing. */
  backpressure?: {
    /** Tells how many items wait now. */
    queueSize: () => number | PromiseLike<number>;
    /** The size above which `slowDown` is called, and below whose half `resume` is. */
    backpressureThreshold: number;
    /** Asks producers for less. */
    slowDown: ResourceAction;
    /** Tells producers that they may go on. Default: nothing. */
    resume?: ResourceAction;
    /** The size above which `shedLoad` is called as well. */
    shedLoadThreshold: number;
    /** Drops what waits. */
    shedLoad: ResourceAction;
  };
  /** How often both are done, in milliseconds. Default 1 000; 0: only when called. */
  intervalMs?: number;
  /** How long each action may take, in milliseconds. Default 10 000. */
  stepTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The events of a resource manager, by name. */
export interface ResourceManagerEvents {
  done: { readonly step: string };
  failed: { readonly step: string; readonly error: unknown };
}

const resourceManagerEventKinds: EventKinds<ResourceManagerEvents> = { done: true, failed: true };

/** What was done: the names of the actions, and the errors of those that failed. */
export interface ResourceReport {
  readonly done: readonly string[];
  readonly failed: readonly { readonly step: string; readonly error: unknown }[];
}

/** Looks after memory, disk, connections and queues, one step after the other. */
export interface ResourceManager {
  readonly on: Subscribe<ResourceManagerEvents>;
  isMemoryHigh(): boolean;
  isDiskSpaceLow(): Promise<boolean>;
  /** Frees what is short. An action that fails does not keep the others from running. Never rejects. */
  manageResources(): Promise<ResourceReport>;
  /** Slows callers down while the queue is long, and sheds load while it is too long. Never rejects. */
  implementBackpressure(): Promise<ResourceReport>;
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const action = optional(callback<ResourceAction>());
const schema = {
  memory: optional(objectWith<MemoryGuard>(['check', 'level'])),
  evictOldEntries: action,
  forceGarbageCollection: action,
  collectEveryMs: integer({ min: 0, max: 86_400_000, default: 10_000 }),
  disk: optional(objectWith<DiskGuard>(['check', 'isFull'])),
  removeOldLogs: action,
  compressOldData: action,
  optimizeConnectionPool: action,
  adjustPoolSize: action,
  backpressure: optional(
    object({
      queueSize: callback<() => number | PromiseLike<number>>(),
      backpressureThreshold: number({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      slowDown: callback<ResourceAction>(),
      resume: callback<ResourceAction>(() => {}),
      shedLoadThreshold: number({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      shedLoad: callback<ResourceAction>(),
    }),
  ),
  intervalMs: integer({ min: 0, max: 3_600_000, default: 1_000 }),
  stepTimeoutMs: integer({ min: 1, max: 3_600_000, default: 10_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Calls the given actions when memory is high, the disk is low or a queue is long.
 * @throws InvalidOptionError
 */
export function createResourceManager(options: ResourceManagerOptions = {}): ResourceManager {
  const resolved = parseOptions('createResourceManager', schema, options);
  const { backpressure } = resolved;
  if (
    backpressure !== undefined &&
    backpressure.shedLoadThreshold < backpressure.backpressureThreshold
  ) {
    throw new InvalidOptionError(
      'createResourceManager',
      'backpressure.shedLoadThreshold',
      backpressure.shedLoadThreshold,
      `at least backpressureThreshold (${backpressure.backpressureThreshold})`,
    );
  }
  return new IntervalManager(resolved);
}

class IntervalManager implements ResourceManager {
  readonly on: Subscribe<ResourceManagerEvents>;
  readonly #emitter: Emitter<ResourceManagerEvents> = createEmitter(
    'holdfast:resources',
    resourceManagerEventKinds,
  );
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #closing = new AbortController();
  #managing: Promise<ResourceReport> | undefined;
  #pressing: Promise<ResourceReport> | undefined;
  #collectedMs = -Infinity;
  #isSlowed = false;
  #timer: Timer | undefined;

  constructor(options: ResolvedOptions<typeof schema>) {
    this.on = this.#emitter.on;
    this.#options = options;
    if (options.intervalMs > 0) this.#arm();
  }

  isMemoryHigh(): boolean {
    const { memory } = this.#options;
    memory?.check();
    return memory !== undefined && memory.level !== 'free';
  }

  async isDiskSpaceLow(): Promise<boolean> {
    const { disk } = this.#options;
    if (disk === undefined) return false;
    let isLow = false;
    const stop = disk.on('evict', () => (isLow = true));
    try {
      await disk.check();
    } finally {
      stop();
    }
    return isLow || disk.isFull;
  }

  manageResources(): Promise<ResourceReport> {
    return (this.#managing ??= this.#report(async (run) => {
      const { clock, collectEveryMs } = this.#options;
      if (this.isMemoryHigh()) {
        await run('evictOldEntries', this.#options.evictOldEntries);
        const collect = this.#options.forceGarbageCollection ?? exposedCollector();
        if (clock.now() - this.#collectedMs >= collectEveryMs) {
          this.#collectedMs = clock.now();
          await run('forceGarbageCollection', collect);
        }
      }
      await run('optimizeConnectionPool', this.#options.optimizeConnectionPool);
      await run('adjustPoolSize', this.#options.adjustPoolSize);
      if (!(await this.isDiskSpaceLow())) return;
      await run('removeOldLogs', this.#options.removeOldLogs);
      if (await this.isDiskSpaceLow()) await run('compressOldData', this.#options.compressOldData);
    }).finally(() => (this.#managing = undefined)));
  }

  implementBackpressure(): Promise<ResourceReport> {
    return (this.#pressing ??= this.#report(async (run) => {
      const { backpressure } = this.#options;
      if (backpressure === undefined) return;
      const size = await backpressure.queueSize();
      if (size > backpressure.backpressureThreshold) {
        this.#isSlowed = true;
        await run('slowDown', backpressure.slowDown);
        if (size > backpressure.shedLoadThreshold) await run('shedLoad', backpressure.shedLoad);
      } else if (this.#isSlowed && size <= backpressure.backpressureThreshold / 2) {
        this.#isSlowed = false;
        await run('resume', backpressure.resume);
      }
    }).finally(() => (this.#pressing = undefined)));
  }

  close(): void {
    this.#timer?.cancel();
    this.#closing.abort(new DOMException('the resource manager is closed', 'AbortError'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Runs steps one after the other, whatever becomes of each. */
  async #report(
    steps: (run: (step: string, act: ResourceAction | undefined) => Promise<void>) => Promise<void>,
  ): Promise<ResourceReport> {
    const done: string[] = [];
    const failed: { step: string; error: unknown }[] = [];
    const fail = (step: string, error: unknown): void => {
      failed.push({ step, error });
      this.#emitter.emit('failed', { step, error });
    };
    const run = async (step: string, act: ResourceAction | undefined): Promise<void> => {
      if (act === undefined) return;
      try {
        await this.#bounded(step, act);
        done.push(step);
        this.#emitter.emit('done', { step });
      } catch (error) {
        fail(step, error);
      }
    };
    await steps(run).catch((error: unknown) => fail('reading', error));
    return { done, failed };
  }

  async #bounded(step: string, act: ResourceAction): Promise<void> {
    const { clock, stepTimeoutMs } = this.#options;
    const late = (): Error =>
      new DOMException(`${step} has not ended in ${stepTimeoutMs} ms`, 'TimeoutError');
    await withDeadline(clock, stepTimeoutMs, this.#closing.signal, late, (signal) =>
      abortable(Promise.resolve(act(signal)), signal),
    );
  }

  #arm(): void {
    const { clock, intervalMs } = this.#options;
    const onDue = async (): Promise<void> => {
      await Promise.all([this.manageResources(), this.implementBackpressure()]);
      if (!this.#closing.signal.aborted) this.#arm();
    };
    this.#timer = clock.schedule(intervalMs, () => void onDue(), { holdsProcess: false });
  }
}

function exposedCollector(): ResourceAction | undefined {
  const { gc } = globalThis;
  return gc === undefined ? undefined : () => gc();
}
