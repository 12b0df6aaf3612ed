import { integer, parseOptions } from '@holdfast/foundation';

export interface CoalescerOptions {
  /** How many keys can be in flight at a time; calls for further keys run on their own. Default 10 000. */
  maxKeys?: number;
}

export interface CoalescerStats {
  /** Flights now. */
  readonly inFlight: number;
  /** Calls that joined another call's flight since the start. */
  readonly joinedCount: number;
  /** Calls that ran on their own because `maxKeys` were in flight. */
  readonly overflowCount: number;
}

/**
 * One flight for all who ask for the same thing at the same time. Each caller waits for itself: an abort
 * takes only that caller away, and the flight is aborted when the last one has left. Nothing is kept
 * once the flight has landed.
 */
export interface Coalescer<T> {
  /**
   * Joins the flight for `key`, or starts one with `fn`. The flight runs in the asynchronous context of
   * the caller who started it.
   * @throws what the flight threw, or the signal's own reason.
   */
  execute(
    key: string,
    fn: (signal: AbortSignal) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  getStats(): CoalescerStats;
}

interface Flight<T> {
  readonly landed: Promise<T>;
  readonly controller: AbortController;
  passengers: number;
}

const shape = { maxKeys: integer({ min: 1, max: 1_000_000, default: 10_000 }) };

/**
 * @typeParam T what the flights bring; all calls for one key expect the same.
 * @throws InvalidOptionError
 */
export function createCoalescer<T>(options?: CoalescerOptions): Coalescer<T> {
  const { maxKeys } = parseOptions('createCoalescer', shape, options);
  const flights = new Map<string, Flight<T>>();
  let joined = 0;
  let overflowed = 0;

  const start = (key: string, fn: (signal: AbortSignal) => T | PromiseLike<T>): Flight<T> => {
    const controller = new AbortController();
    // An async function, so that what `fn` throws at once lands like everything else.
    const landed = (async () => fn(controller.signal))();
    const flight: Flight<T> = { landed, controller, passengers: 0 };
    if (flights.size >= maxKeys) {
      overflowed += 1;
      return flight;
    }
    flights.set(key, flight);
    const land = (): void => forget(key, flight);
    landed.then(land, land);
    return flight;
  };

  /** A flight that is aborted is left to itself; by the time it lands, another may have its key. */
  const forget = (key: string, flight: Flight<T>): void => {
    if (flights.get(key) === flight) flights.delete(key);
  };

  const board = (key: string, flight: Flight<T>, signal: AbortSignal | undefined): Promise<T> => {
    flight.passengers += 1;
    if (signal === undefined) return flight.landed;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        flight.passengers -= 1;
        reject(signal.reason);
        if (flight.passengers > 0) return;
        forget(key, flight);
        flight.controller.abort(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const landing = <Value>(settle: (value: Value) => void) => {
        return (value: Value): void => {
          signal.removeEventListener('abort', onAbort);
          settle(value);
        };
      };
      flight.landed.then(landing(resolve), landing(reject));
    });
  };

  return {
    async execute(key, fn, given) {
      const signal = given?.signal;
      signal?.throwIfAborted();
      const running = flights.get(key);
      if (running !== undefined) joined += 1;
      return board(key, running ?? start(key, fn), signal);
    },
    getStats: () => ({
      inFlight: flights.size,
      joinedCount: joined,
      overflowCount: overflowed,
    }),
  };
}
