import { checkCall } from '../check-call.ts';
import {
  InvalidOptionError,
  abortable,
  callSafely,
  integer,
  parseOptions,
} from '@holdfast/foundation';
import type { WorkCallOptions } from '../until-aborted.ts';
import { CoalescerDeadlockError, WaitingWork, askingWork } from './waiting-graph.ts';

/** Options of `createCoalescer`. */
export interface CoalescerOptions {
  /** How many keys can be in flight at a time; calls with further keys run alone. Default 10 000. */
  maxKeys?: number;
}

/** What a coalescer shares, read at any time. */
export interface CoalescerStats {
  /** Shared calls that run now. */
  readonly inFlight: number;
  /** Calls that joined a running call since the start. */
  readonly joinedCount: number;
  /** Calls that ran alone because `maxKeys` were in flight. */
  readonly overflowCount: number;
}

/**
 * One shared call for all concurrent calls with the same key. The abort of a caller rejects that caller only;
 * the shared call is aborted when its last caller has aborted. No result is kept once it has settled.
 */
export interface Coalescer<T> {
  /**
   * Joins the running call for `key`, or starts one with `fn`. It runs in the asynchronous context of the caller
   * that started it.
   * @throws the error of `fn`; the signal's own reason; CoalescerDeadlockError when the work of a shared call asks for a
   * key that waits for this work, such as its own: also where that would not be awaited.
   */
  execute(key: string, fn: SharedWork<T>, options?: WorkCallOptions<T>): Promise<T>;
  /** Whether a call with the key could be joined. */
  has(key: string): boolean;
  /** Later calls start one of their own; the one that runs answers only those that wait for it. */
  detach(key: string): void;
  detachAll(): void;
  /** Aborts all shared calls, whoever waits for them. */
  abortAll(reason: unknown): void;
  getStats(): CoalescerStats;
}

/**
 * The work of a shared call. `isCurrent` is false once the key was forgotten, and its value is not to be stored.
 * @param isCurrent false once the call was detached or aborted, and for one beyond `maxKeys`: what it brings must not
 * replace what others did meanwhile.
 */
export type SharedWork<T> = (signal: AbortSignal, isCurrent: () => boolean) => T | PromiseLike<T>;

interface SharedCall<T> {
  readonly result: Promise<T>;
  /** Tells who waits for whom. */
  readonly work: WaitingWork;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly controller: AbortController;
  callers: number;
}

const schema = { maxKeys: integer({ min: 1, max: 1_000_000, default: 10_000 }) };

/**
 * Lets concurrent calls with one key share one run of the work.
 * @typeParam T the type of the results; all calls with one key expect the same.
 * @throws InvalidOptionError
 */
export function createCoalescer<T>(options?: CoalescerOptions): Coalescer<T> {
  return new KeyedCoalescer(parseOptions('createCoalescer', schema, options).maxKeys);
}

class KeyedCoalescer<T> implements Coalescer<T> {
  readonly #maxKeys: number;
  readonly #running = new Map<string, SharedCall<T>>();
  #joined = 0;
  #overflowed = 0;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  async execute(key: string, fn: SharedWork<T>, options?: WorkCallOptions<T>): Promise<T> {
    if (typeof key !== 'string') {
      throw new InvalidOptionError('coalescer.execute', 'key', key, 'a string');
    }
    checkCall('coalescer.execute', fn, options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const running = this.#running.get(key);
    const asking = askingWork.getStore();
    if (running !== undefined) {
      if (asking !== undefined && running.work.reaches(asking)) {
        throw new CoalescerDeadlockError(key, asking.key);
      }
      this.#joined += 1;
    }
    const call = running ?? this.#create(key);
    const stopWaiting = asking?.waitFor(call.work);
    if (stopWaiting !== undefined) call.result.then(stopWaiting, stopWaiting);
    // After the wait is known, because the work may ask for other keys at once.
    if (running === undefined) this.#start(key, call, fn);
    return this.#join(key, call, options, stopWaiting);
  }

  has(key: string): boolean {
    return this.#running.has(key);
  }

  detach(key: string): void {
    this.#running.delete(key);
  }

  detachAll(): void {
    this.#running.clear();
  }

  abortAll(reason: unknown): void {
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { controller } of running) controller.abort(reason);
  }

  getStats(): CoalescerStats {
    return {
      inFlight: this.#running.size,
      joinedCount: this.#joined,
      overflowCount: this.#overflowed,
    };
  }

  #create(key: string): SharedCall<T> {
    const { promise: result, resolve, reject } = Promise.withResolvers<T>();
    const controller = new AbortController();
    const work = new WaitingWork(key);
    const call: SharedCall<T> = { result, resolve, reject, work, controller, callers: 0 };
    if (this.#running.size >= this.#maxKeys) {
      this.#overflowed += 1;
    } else {
      // Before it runs, so that work that asks for its own key is recognized.
      this.#running.set(key, call);
      const remove = (): void => this.#remove(key, call);
      result.then(remove, remove);
    }
    return call;
  }

  #start(
    key: string,
    { work, controller, resolve, reject }: SharedCall<T>,
    fn: SharedWork<T>,
  ): void {
    const isCurrent = (): boolean => this.#running.get(key)?.work === work;
    // An async function, so that an error thrown by `fn` itself rejects the promise too.
    const run = async (): Promise<T> => fn(controller.signal, isCurrent);
    askingWork.run(work, run).then(resolve, reject);
  }

  /** An aborted call is removed before it has settled; another call may have its key then. */
  #remove(key: string, call: SharedCall<T>): void {
    if (this.#running.get(key) === call) this.#running.delete(key);
  }

  #join(
    key: string,
    call: SharedCall<T>,
    options: WorkCallOptions<T> | undefined,
    stopWaiting: (() => void) | undefined,
  ): Promise<T> {
    const signal = options?.signal;
    call.callers += 1;
    if (signal === undefined) return call.result;
    return abortable(call.result, signal, () => {
      stopWaiting?.();
      call.callers -= 1;
      if (call.callers > 0) return;
      this.#remove(key, call);
      const onDiscarded = options?.onDiscarded;
      if (onDiscarded !== undefined) {
        call.result.then(
          (value) => callSafely('onDiscarded', onDiscarded, value),
          () => undefined,
        );
      }
      call.controller.abort(signal.reason);
    });
  }
}
