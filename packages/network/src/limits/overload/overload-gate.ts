import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import {
  type Clock,
  type Emitter,
  LinkedList,
  type ResolvedOptions,
  type Subscribe,
  createEmitter,
  integer,
  objectWith,
  parseOptions,
  string,
  systemClock,
  type EventKinds,
} from '@holdfast/foundation';
import { NetworkClosedError } from '../../errors.ts';
import { OverloadedError } from '../errors.ts';
import { BoundedWait } from '../bounded-wait.ts';

/** Options of `createOverloadGate`. All times in milliseconds. */
export interface OverloadGateOptions {
  /** Appears in errors and events. Default `gate`. */
  name?: string;
  /** How many calls run at a time. Default 10. */
  maxConcurrent?: number;
  /** How many calls wait; with one more, the one that has waited longest is refused. Default 100. */
  maxWaiting?: number;
  /** How long a call waits, in milliseconds, while there is no overload. Default 500. */
  budgetMs?: number;
  /** For how long calls wait without a break until that is called overload. Default 200. */
  overloadAfterMs?: number;
  /** How long a call waits under overload, in milliseconds. Default 10. */
  overloadBudgetMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The events of an overload gate, by name. */
export interface OverloadGateEvents {
  refused: {
    readonly name: string;
    readonly reason: OverloadedError['reason'];
    readonly waitedMs: number;
  };
  /** More calls arrive than are served, or no longer. */
  overload: { readonly name: string; readonly isOverloaded: boolean };
}

const overloadGateEventKinds: EventKinds<OverloadGateEvents> = { refused: true, overload: true };

/** What an overload gate runs, holds and has refused, read at any time. */
export interface OverloadGateStats {
  readonly running: number;
  readonly waiting: number;
  readonly isOverloaded: boolean;
  /** Since the start. */
  readonly served: number;
  readonly refused: number;
}

/** Options of one call through a gate. */
export interface GateOptions {
  /** An abort ends the wait, with the signal's own reason. */
  signal?: AbortSignal;
}

/**
 * Bounds how many calls run and how long they wait, so that those served are served in time and the others know at
 * once.
 *
 *   arrival ──▶ running ──▶ done
 *     │ all slots taken      ▲ the newest first: it has the most time left
 *     └──────▶ waiting ──────┘
 *                 │ budgetMs, or overloadBudgetMs under overload; the oldest, when the queue is full
 *                 ▼
 *               refused, never started
 */
export interface OverloadGate {
  readonly name: string;
  readonly on: Subscribe<OverloadGateEvents>;
  /** A slot, until the returned function is called. @throws OverloadedError, NetworkClosedError, the signal's own reason */
  enter(options?: GateOptions): Promise<() => void>;
  /** Calls `fn` in a slot. @throws as `enter`, or what `fn` throws */
  process<T>(fn: () => T | PromiseLike<T>, options?: GateOptions): Promise<T>;
  getStats(): OverloadGateStats;
  /** Refuses what waits and what comes; what runs goes on. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Of the time of so many times `overloadAfterMs`: with more of it free, overload is over. */
const FREE_SHARE = 0.5;
const WINDOWS = 3;
const count = (absent: number, min: number): ReturnType<typeof integer> =>
  integer({ min, max: 1_000_000, default: absent });
const duration = (absent: number): ReturnType<typeof integer> =>
  integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: absent });
const schema = {
  name: string({ maxLength: 200, default: 'gate' }),
  maxConcurrent: count(10, 1),
  maxWaiting: count(100, 0),
  budgetMs: duration(500),
  overloadAfterMs: duration(200),
  overloadBudgetMs: duration(10),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Serves the newest calls first under overload, and refuses at once what cannot be served in time.
 * @throws InvalidOptionError
 */
export function createOverloadGate(options: OverloadGateOptions = {}): OverloadGate {
  return new LastInFirstOutGate(parseOptions('createOverloadGate', schema, options));
}

class WaitingCall extends BoundedWait<() => void> {
  sinceMs = 0;
}

class LastInFirstOutGate implements OverloadGate {
  readonly name: string;
  readonly on: Subscribe<OverloadGateEvents>;
  readonly #emitter: Emitter<OverloadGateEvents> = createEmitter(
    'holdfast:gate',
    overloadGateEventKinds,
  );
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #stack = new LinkedList<WaitingCall>();
  #running = 0;
  #served = 0;
  #refused = 0;
  /** Since when calls have been waiting without a break. */
  #busySinceMs: number | undefined;
  #isOverloaded = false;
  /** Under overload: the start of the window that is judged next, and for how long a slot was free in it. */
  #windowMs = 0;
  #freeMs = 0;
  #freeSinceMs: number | undefined;
  #closed = false;

  constructor(options: ResolvedOptions<typeof schema>) {
    this.name = options.name;
    this.on = this.#emitter.on;
    this.#options = options;
  }

  async enter({ signal }: GateOptions = {}): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#closed) throw new NetworkClosedError(`overload gate ${this.name}`);
    if (this.#isOverloaded) this.#judgeOverload();
    return this.#running < this.#options.maxConcurrent ? this.#start() : this.#wait(signal);
  }

  async process<T>(fn: () => T | PromiseLike<T>, options?: GateOptions): Promise<T> {
    const leave = await this.enter(options);
    try {
      return await fn();
    } finally {
      leave();
    }
  }

  getStats(): OverloadGateStats {
    if (this.#isOverloaded) this.#judgeOverload();
    return {
      running: this.#running,
      waiting: this.#stack.size,
      isOverloaded: this.#isOverloaded,
      served: this.#served,
      refused: this.#refused,
    };
  }

  close(): void {
    this.#closed = true;
    for (let call = this.#stack.pop(); call !== undefined; call = this.#stack.pop()) {
      call.refuse(new NetworkClosedError(`overload gate ${this.name}`));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #start(): () => void {
    this.#running += 1;
    if (this.#freeSinceMs !== undefined && this.#running === this.#options.maxConcurrent) {
      this.#freeMs += this.#options.clock.now() - this.#freeSinceMs;
      this.#freeSinceMs = undefined;
    }
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#running -= 1;
      this.#served += 1;
      const next = this.#stack.pop();
      if (next !== undefined) next.admit(this.#start());
      else if (this.#isOverloaded) this.#freeSinceMs ??= this.#options.clock.now();
      this.#noteWaiting();
    };
  }

  #wait(signal: AbortSignal | undefined): Promise<() => void> {
    const { clock, maxWaiting, budgetMs, overloadAfterMs, overloadBudgetMs } = this.#options;
    if (maxWaiting === 0) throw this.#refuse('queue-full', 0);
    const nowMs = clock.now();
    this.#busySinceMs ??= nowMs;
    if (nowMs - this.#busySinceMs >= overloadAfterMs) this.#noteOverload(true);
    const timeoutMs = this.#isOverloaded ? overloadBudgetMs : budgetMs;
    const call: WaitingCall = new WaitingCall({
      clock,
      timeoutMs,
      signal,
      leave: () => {
        this.#stack.remove(call);
        this.#noteWaiting();
      },
      late: () => this.#refuse('waited-too-long', timeoutMs),
    });
    call.sinceMs = nowMs;
    const oldest = this.#stack.first;
    if (oldest !== undefined) {
      const waitedMs = nowMs - oldest.sinceMs;
      const isFull = this.#stack.size >= maxWaiting;
      // One that began to wait before the overload makes room for one that comes now.
      if (isFull || (this.#isOverloaded && waitedMs >= overloadBudgetMs)) {
        this.#stack.remove(oldest);
        oldest.refuse(this.#refuse(isFull ? 'queue-full' : 'waited-too-long', waitedMs));
      }
    }
    this.#stack.append(call);
    return call.promise;
  }

  #noteWaiting(): void {
    if (this.#stack.size === 0) this.#busySinceMs = undefined;
  }

  /**
   * The short budget empties the queue now and then: overload is over only when a slot was free for half of the
   * time, which it is not while more calls arrive than are served.
   */
  #judgeOverload(): void {
    const nowMs = this.#options.clock.now();
    const lastedMs = nowMs - this.#windowMs;
    if (lastedMs < this.#options.overloadAfterMs * WINDOWS) return;
    const freeMs = this.#freeMs + nowMs - (this.#freeSinceMs ?? nowMs);
    if (freeMs >= lastedMs * FREE_SHARE) {
      this.#freeSinceMs = undefined;
      this.#noteOverload(false);
      return;
    }
    this.#windowMs = nowMs;
    this.#freeMs = 0;
    if (this.#freeSinceMs !== undefined) this.#freeSinceMs = nowMs;
  }

  #noteOverload(isOverloaded: boolean): void {
    if (isOverloaded === this.#isOverloaded) return;
    this.#isOverloaded = isOverloaded;
    this.#windowMs = this.#options.clock.now();
    this.#freeMs = 0;
    this.#emitter.emit('overload', { name: this.name, isOverloaded });
  }

  #refuse(reason: OverloadedError['reason'], waitedMs: number): OverloadedError {
    const { name } = this;
    const { maxConcurrent, maxWaiting, budgetMs } = this.#options;
    this.#refused += 1;
    if (this.#emitter.hasListeners('refused'))
      this.#emitter.emit('refused', { name, reason, waitedMs });
    const seen = `${this.#running} of ${maxConcurrent} run, ${this.#stack.size} of ${maxWaiting} wait (${reason})`;
    return new OverloadedError(name, reason, seen, budgetMs);
  }
}

/**
 * Puts a gate in front of a handler of `node:http`: what is refused is answered by 503 with `retry-after`. A slot is held
 * until the response has ended or its client is gone; a client that goes while it waits leaves the queue.
 */
export function gateRequests(gate: OverloadGate, handler: RequestListener): RequestListener {
  return (request, response) => void serve(gate, handler, request, response);
}

async function serve(
  gate: OverloadGate,
  handler: RequestListener,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  const abort = (): void => gone.abort();
  response.once('close', abort);
  let leave: () => void;
  try {
    leave = await gate.enter({ signal: gone.signal });
  } catch (error) {
    if (gone.signal.aborted) return;
    const seconds =
      error instanceof OverloadedError ? Math.ceil((error.retryAfterMs ?? 0) / 1_000) : 1;
    // The body is not read, so that the connection cannot serve another request.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(503, { 'retry-after': String(seconds) }).end();
    return;
  }
  response.off('close', abort);
  response.once('close', leave);
  handler(request, response);
}
