import {
  type Emitter,
  InvalidOptionError,
  LinkedList,
  type Subscribe,
  type Timer,
  Waiter,
  createEmitter,
} from '@holdfast/foundation';
import {
  type AdaptiveLimit,
  type AdaptivePermit,
  classifyError,
  createAdaptiveLimit,
} from '@holdfast/resilience';
import { type DelayState, calm, nextDelay } from './codel.ts';
import { LoadShedError } from './errors.ts';
import {
  type LoadShedder,
  type LoadShedderEvents,
  type LoadShedderStats,
  type PressureLevel,
  type PriorityClass,
  type ShedCallOptions,
  type ShedReason,
  loadShedderEventKinds,
} from './shedding.ts';
import {
  type LoadShedderOptions,
  type ResolvedShedderOptions,
  parseShedderOptions,
} from './shedder-options.ts';
import { Watermarks } from './watermarks.ts';

const classes: readonly PriorityClass[] = ['critical', 'normal', 'background'];
/** Which classes each level of pressure refuses. */
const refusedUnder: Readonly<Record<PressureLevel, readonly PriorityClass[]>> = {
  normal: [],
  high: ['background'],
  critical: ['normal', 'background'],
};
const signsOfOverload = new Set([
  'network_timeout',
  'gateway_timeout',
  'service_unavailable',
  'rate_limited',
]);

/**
 * Makes a load shedder.
 * @throws InvalidOptionError
 */
export function createLoadShedder(options: LoadShedderOptions = {}): LoadShedder {
  return new ClassedShedder(parseShedderOptions(options));
}

class WaitingRequest extends Waiter<AdaptivePermit> {
  readonly priority: PriorityClass;
  readonly sinceMs: number;
  readonly #leave: (request: WaitingRequest) => void;
  timer: Timer | undefined;

  constructor(
    priority: PriorityClass,
    sinceMs: number,
    leave: (request: WaitingRequest) => void,
    signal: AbortSignal | undefined,
  ) {
    super(signal);
    this.priority = priority;
    this.sinceMs = sinceMs;
    this.#leave = leave;
  }

  protected override leaveQueue(): void {
    this.#leave(this);
  }
}

class ClassedShedder implements LoadShedder {
  readonly on: Subscribe<LoadShedderEvents>;
  readonly #emitter: Emitter<LoadShedderEvents> = createEmitter(
    'holdfast:shedding',
    loadShedderEventKinds,
  );
  readonly #options: ResolvedShedderOptions;
  readonly #limit: AdaptiveLimit;
  readonly #watermarks: Watermarks;
  readonly #queues: Readonly<Record<PriorityClass, LinkedList<WaitingRequest>>> = {
    critical: new LinkedList(),
    normal: new LinkedList(),
    background: new LinkedList(),
  };
  readonly #served = { critical: 0, normal: 0, background: 0 };
  readonly #shed = { critical: 0, normal: 0, background: 0 };
  #delay: DelayState = calm;
  #pressure: PressureLevel = 'normal';
  #scarcest = '';
  #readMs = -Infinity;
  #isClosed = false;

  constructor(options: ResolvedShedderOptions) {
    const { initialLimit, minLimit, maxLimit, latencyTolerance, clock, random } = options;
    this.on = this.#emitter.on;
    this.#options = options;
    this.#watermarks = new Watermarks(options.watermarks);
    this.#limit = createAdaptiveLimit({
      name: 'load-shedder',
      initialLimit,
      minLimit,
      maxLimit,
      latencyTolerance,
      clock,
      random,
    });
  }

  async execute<T>(
    work: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    { priority = 'normal', signal }: ShedCallOptions = {},
  ): Promise<T> {
    if (!classes.includes(priority)) {
      const permitted = `one of ${classes.join(', ')}`;
      throw new InvalidOptionError('execute', 'priority', priority, permitted);
    }
    signal?.throwIfAborted();
    this.#readPressure();
    if (this.#isClosed) throw this.#refuse(priority, 'closed', 0);
    if (refusedUnder[this.#pressure].includes(priority))
      throw this.#refuse(priority, 'pressure', 0);
    const permit = this.#tryStart(priority) ?? (await this.#wait(priority, signal));
    try {
      const value = await work(signal);
      permit.succeeded();
      this.#served[priority] += 1;
      return value;
    } catch (error) {
      if (signsOfOverload.has(classifyError(error))) permit.dropped();
      else permit.release();
      throw error;
    } finally {
      this.#startWaiting();
    }
  }

  getStats(): LoadShedderStats {
    const { limit, activeCount } = this.#limit.getStats();
    return {
      limit,
      running: activeCount,
      waiting: this.#waiting,
      isOverloaded: this.#delay.isOverloaded,
      pressure: this.#pressure,
      served: { ...this.#served },
      shed: { ...this.#shed },
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const priority of classes) {
      for (let first = this.#queues[priority].first; first !== undefined;) {
        this.#giveUp(first, 'closed');
        first = this.#queues[priority].first;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  get #waiting(): number {
    return classes.reduce((sum, priority) => sum + this.#queues[priority].size, 0);
  }

  /** A class takes no more than its share, and none before those that wait and are as important. */
  #tryStart(priority: PriorityClass): AdaptivePermit | undefined {
    for (const above of classes) {
      if (this.#queues[above].size > 0) return undefined;
      if (above === priority) break;
    }
    return this.#tryAcquire(priority);
  }

  #tryAcquire(priority: PriorityClass): AdaptivePermit | undefined {
    const { limit, activeCount } = this.#limit.getStats();
    // One may always run: a share of a small limit is not nothing.
    const permitted = Math.max(1, Math.floor(limit * this.#options.shares[priority]));
    // Without any latency there is no gradient, and the limit is no number.
    return Number.isNaN(permitted) || activeCount < permitted
      ? this.#limit.tryAcquire()
      : undefined;
  }

  #wait(priority: PriorityClass, signal: AbortSignal | undefined): Promise<AdaptivePermit> {
    const { clock, maxWaiting, maxWaitMs, targetWaitMs } = this.#options;
    if (this.#waiting >= maxWaiting && !this.#makeRoom(priority)) {
      throw this.#refuse(priority, 'queue-full', 0);
    }
    const leave = (left: WaitingRequest): void => this.#take(left);
    const request = new WaitingRequest(priority, clock.now(), leave, signal);
    const budgetMs = this.#delay.isOverloaded ? targetWaitMs : maxWaitMs;
    const onLate = (): void => {
      this.#noteDelay(budgetMs);
      this.#giveUp(request, 'waited-too-long');
    };
    request.timer = clock.schedule(budgetMs, onLate, { holdsProcess: false });
    this.#queues[priority].append(request);
    return request.promise;
  }

  /** The one that has waited longest in the least important class gives way to one that is more important. */
  #makeRoom(priority: PriorityClass): boolean {
    for (const below of classes.toReversed()) {
      if (below === priority) return false;
      const { first } = this.#queues[below];
      if (first === undefined) continue;
      this.#giveUp(first, 'queue-full');
      return true;
    }
    return false;
  }

  /** The most important first, and none before it; of a class the oldest, or the newest under overload, which has the most time left. */
  #startWaiting(): void {
    for (const priority of classes) {
      const queue = this.#queues[priority];
      while (queue.size > 0) {
        const permit = this.#tryAcquire(priority);
        if (permit === undefined) return;
        const request = this.#delay.isOverloaded ? queue.pop() : queue.first;
        if (request === undefined) return;
        this.#take(request);
        this.#noteDelay(this.#options.clock.now() - request.sinceMs);
        request.admit(permit);
      }
    }
    this.#noteDelay(0);
  }

  #take(request: WaitingRequest): void {
    request.timer?.cancel();
    this.#queues[request.priority].remove(request);
  }

  #giveUp(request: WaitingRequest, reason: ShedReason): void {
    this.#take(request);
    const waitedMs = this.#options.clock.now() - request.sinceMs;
    request.refuse(this.#refuse(request.priority, reason, waitedMs));
  }

  #refuse(priority: PriorityClass, reason: ShedReason, waitedMs: number): LoadShedError {
    this.#shed[priority] += 1;
    this.#emitter.emit('shed', { priority, reason, waitedMs });
    return new LoadShedError(priority, reason, this.#options.maxWaitMs);
  }

  #noteDelay(waitedMs: number): void {
    const wasOverloaded = this.#delay.isOverloaded;
    this.#delay = nextDelay(this.#delay, waitedMs, this.#options.clock.now(), this.#options);
    const { isOverloaded } = this.#delay;
    if (isOverloaded !== wasOverloaded) this.#emitter.emit('overload', { isOverloaded });
  }

  #readPressure(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#readMs < this.#options.readEveryMs) return;
    this.#readMs = nowMs;
    const { level, resource } = this.#watermarks.read();
    if (level === this.#pressure) return;
    this.#pressure = level;
    // Of a pressure that ends, the resource that had it last.
    this.#scarcest = level === 'normal' ? this.#scarcest : resource;
    this.#emitter.emit('pressure', { level, resource: this.#scarcest });
  }
}
