import type { Clock } from '@holdfast/foundation';
import { type StreamId, msOf } from '../protocol/stream-id.ts';

/**
 * The time of the server, as the ids of its stream tell it. A value is dated by it when it is written: Redis may execute
 * the command much later, as after it was frozen.
 */
export class ServerTime {
  readonly #clock: Clock;
  /** Server minus own. */
  #offsetMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Now, at most as late as it is there; `undefined` before any id is known. */
  now(): number | undefined {
    if (this.#offsetMs === undefined) return undefined;
    return Math.floor(this.#clock.now() + this.#offsetMs);
  }

  /**
   * An id that the server has made before now.
   * @param askedMs when the command was sent that made it, by the own clock
   */
  note(id: StreamId, askedMs: number = -Infinity): void {
    const idMs = msOf(id);
    const leastMs = idMs - this.#clock.now();
    const mostMs = idMs + 1 - askedMs;
    this.#offsetMs = Math.min(mostMs, Math.max(leastMs, this.#offsetMs ?? leastMs));
  }
}
