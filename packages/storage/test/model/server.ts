import { type Random, sleep } from '@holdfast/foundation';
import type { FakeClock } from '@holdfast/foundation/testing';
import { type StorageBackend, fail } from '../../src/backend.ts';
import { type MemoryBackend, createMemoryBackend } from '../../src/backends/memory.ts';

/** A late write is applied within this time. */
export const LATE_WRITE_MS = 1_000;

type Weather = 'fair' | 'rough' | 'away' | 'denied';

/** After this time of fair weather every client calls again. */
const CALM_AFTER_MS = 1_000;

/** The life of one process. */
export interface Life {
  isOver: boolean;
}

/** A server behind a network with every kind of fault. */
export class Server {
  readonly backend: MemoryBackend;
  readonly #clock: FakeClock;
  readonly #random: Random;
  /** The writes that were applied in time, in order, by key. */
  readonly applied: { key: string; writer: string; generation: number }[] = [];
  #weather: Weather = 'fair';
  #fairSinceMs = 0;
  lateWrites = 0;
  /** The bodies that were applied late, and when. */
  readonly #lateBodies = new Map<string, number>();

  constructor(name: string, clock: FakeClock, random: Random) {
    this.backend = createMemoryBackend({ name, clock });
    this.#clock = clock;
    this.#random = random;
  }

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    if (weather !== 'fair') this.#fairSinceMs = Infinity;
    else if (this.#weather !== 'fair') this.#fairSinceMs = this.#clock.now();
    this.#weather = weather;
  }

  /** Whether no circuit is open any more after what went wrong. */
  get isReachable(): boolean {
    return this.#clock.now() - this.#fairSinceMs > CALM_AFTER_MS;
  }

  /** Whether this body was applied after the time, long after it was sent. */
  wasLate(text: string | undefined, sinceMs: number): boolean {
    return text !== undefined && (this.#lateBodies.get(text) ?? -Infinity) >= sinceMs;
  }

  /** The server as one process reaches it, until that process dies. */
  seenBy(life: Life): StorageBackend {
    const { backend } = this;
    const never = new Promise<never>(() => undefined);
    const reach = async <T>(
      act: () => Promise<T>,
      isWrite: boolean,
      write: () => Promise<unknown>,
    ): Promise<T | ReturnType<typeof fail>> => {
      if (life.isOver) return never;
      await sleep(this.#clock, 1 + Math.floor(this.#random() * 5));
      const fate = this.#random();
      const rough = this.weather === 'rough';
      let result: T | ReturnType<typeof fail>;
      if (this.weather === 'denied') result = fail('denied', 'HTTP 403');
      else if (this.weather === 'away') {
        result = fail(isWrite && fate < 0.5 ? 'unknown' : 'transient', 'away');
      } else if (rough && fate < 0.2) result = fail('transient', 'HTTP 503');
      else if (rough && isWrite && fate < 0.35) {
        result = fail('unknown', 'reset before it arrived');
      } else if (rough && isWrite && fate < 0.5) {
        await write();
        result = fail('unknown', 'reset before the answer');
      } else if (rough && isWrite && fate < 0.65) {
        this.lateWrites += 1;
        const delayMs = Math.floor(this.#random() * (LATE_WRITE_MS - 20));
        void sleep(this.#clock, delayMs).then(write);
        result = fail('unknown', 'still at it');
      } else result = await act();
      await sleep(this.#clock, 1 + Math.floor(this.#random() * 5));
      return life.isOver ? never : result;
    };
    return {
      name: backend.name,
      bucket: backend.bucket,
      largeFromBytes: backend.largeFromBytes,
      refuseKey: (key) => backend.refuseKey(key),
      put: (key, body, options) => {
        const inTime = async () => {
          const result = await backend.put(key, body, options);
          if (result.kind === 'ok') {
            const { operationId, generation } = options.stamp;
            // The id begins with that of the journal.
            const writer = operationId.slice(0, operationId.lastIndexOf('-'));
            this.applied.push({ key, writer, generation });
          }
          return result;
        };
        // A request in flight reads no file any more: a dead process has sent its bytes or not.
        const { bytes } = body;
        const late = async (): Promise<void> => {
          if (bytes === undefined) return;
          const { kind } = await backend.put(key, body, options);
          if (kind === 'ok') this.#lateBodies.set(Buffer.from(bytes).toString(), this.#clock.now());
        };
        return reach(inTime, true, late);
      },
      get: (key, options) => {
        const act = () => backend.get(key, options);
        return reach(act, false, act);
      },
      head: (key, options) => {
        const act = () => backend.head(key, options);
        return reach(act, false, act);
      },
      remove: (key, options) => {
        const act = () => backend.remove(key, options);
        return reach(act, true, act);
      },
      list: (prefix, options) => {
        const act = () => backend.list(prefix, options);
        return reach(act, false, act);
      },
    };
  }
}
