import { abortable, integer, parseOptions } from '@holdfast/foundation';

export interface CoalescerOptions {
  /** How many keys can be in flight at a time; calls with further keys run alone. Default 10 000. */
  maxKeys?: number;
}

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
   * @throws the error of `fn`, or the signal's own reason.
   */
  execute(
    key: string,
    fn: (signal: AbortSignal) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  getStats(): CoalescerStats;
}

interface SharedCall<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  callers: number;
}

const schema = { maxKeys: integer({ min: 1, max: 1_000_000, default: 10_000 }) };

/**
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

  async execute(
    key: string,
    fn: (signal: AbortSignal) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    const running = this.#running.get(key);
    if (running !== undefined) this.#joined += 1;
    return this.#join(key, running ?? this.#start(key, fn), signal);
  }

  getStats(): CoalescerStats {
    return {
      inFlight: this.#running.size,
      joinedCount: this.#joined,
      overflowCount: this.#overflowed,
    };
  }

  #start(key: string, fn: (signal: AbortSignal) => T | PromiseLike<T>): SharedCall<T> {
    const controller = new AbortController();
    // An async function, so that an error thrown by `fn` itself rejects the promise too.
    const result = (async () => fn(controller.signal))();
    const call: SharedCall<T> = { result, controller, callers: 0 };
    if (this.#running.size >= this.#maxKeys) {
      this.#overflowed += 1;
      return call;
    }
    this.#running.set(key, call);
    const remove = (): void => this.#remove(key, call);
    result.then(remove, remove);
    return call;
  }

  /** An aborted call is removed before it has settled; another call may have its key then. */
  #remove(key: string, call: SharedCall<T>): void {
    if (this.#running.get(key) === call) this.#running.delete(key);
  }

  #join(key: string, call: SharedCall<T>, signal: AbortSignal | undefined): Promise<T> {
    call.callers += 1;
    if (signal === undefined) return call.result;
    return abortable(call.result, signal, () => {
      call.callers -= 1;
      if (call.callers > 0) return;
      this.#remove(key, call);
      call.controller.abort(signal.reason);
    });
  }
}
