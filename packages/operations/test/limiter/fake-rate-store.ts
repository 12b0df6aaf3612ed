import type { Clock } from '@holdfast/foundation';
import type { RateReply, RateRequest, RateStore } from '@holdfast/operations';
import { type PaidUpTo, take } from '../../src/limiter/gcra.ts';

interface Data {
  known: { run: number; sinceMs: number } | undefined;
  keys: Map<string, PaidUpTo>;
}

/** A server that counts, as `redis/script.ts` does, and can be killed, frozen and restarted with older data or none. */
export class FakeRateServer {
  readonly #clock: Clock;
  #run = 1;
  #isUp = true;
  #isFrozen = false;
  #data: Data = { known: undefined, keys: new Map() };
  #saved: Data = { known: undefined, keys: new Map() };
  /** What arrived while it was frozen, which it does when it goes on. */
  #arrived: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  kill(): void {
    this.#isUp = false;
    this.#isFrozen = false;
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const run of arrived) run();
  }

  start(data: 'as-it-was' | 'older' | 'none'): void {
    this.#isUp = true;
    this.#run += 1;
    if (data === 'none') this.#data = { known: undefined, keys: new Map() };
    if (data === 'older') this.#data = copyOf(this.#saved);
  }

  save(): void {
    this.#saved = copyOf(this.#data);
  }

  freeze(): void {
    this.#isFrozen = this.#isUp;
  }

  thaw(): void {
    this.#isFrozen = false;
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const run of arrived) run();
  }

  /** A connection of one instance. */
  connect(): RateStore {
    let run: number | undefined;
    return {
      join: (settleMs) =>
        this.#call(() => {
          run = this.#run;
          this.#data.known = { run, sinceMs: this.#clock.now() + settleMs };
        }),
      take: (request) =>
        this.#call(() => {
          // The connection was to a process that is gone.
          if (run !== this.#run) throw new Error('the connection is new');
          return this.#take(run, request);
        }),
    };
  }

  #take(run: number, request: RateRequest): RateReply {
    const nowMs = this.#clock.now();
    let known = this.#data.known;
    if (known === undefined || known.run !== run)
      known = { run, sinceMs: nowMs + request.settleMs };
    this.#data.known = known;
    if (nowMs < known.sinceMs) return { kind: 'settling', waitMs: known.sinceMs - nowMs };
    const { state, reply } = take(this.#data.keys.get(request.key), request, known.sinceMs, nowMs);
    if (state !== undefined) this.#data.keys.set(request.key, state);
    return reply;
  }

  #call<T>(execute: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          if (!this.#isUp) throw new Error('ECONNREFUSED');
          resolve(execute());
        } catch (error) {
          reject(error instanceof Error ? error : new Error('not an error'));
        }
      };
      if (this.#isFrozen) this.#arrived.push(run);
      else run();
    });
  }
}

function copyOf({ known, keys }: Data): Data {
  return { known, keys: new Map(keys) };
}
