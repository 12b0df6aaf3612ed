import type { Token } from '../database.ts';

const MAX_SAMPLES = 1_000;

/**
 * Where the primary's log stood at which moment. From it follows how far behind a standby can be at most, which
 * it cannot tell itself: replay that is paused, or a stream that is cut, looks healthy from there.
 */
export class Progress {
  readonly #samples: { readonly askedMs: number; readonly position: bigint }[] = [];

  /** @param askedMs from before the primary was asked: all committed by then is within `position`. */
  note(askedMs: number, position: bigint): void {
    this.#samples.push({ askedMs, position });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  /** A new history has begun. */
  forget(): void {
    this.#samples.length = 0;
  }

  /** The most that a standby at this position can be behind; `Infinity` where that is not known. */
  lagMs(position: bigint, nowMs: number): number {
    const reached = this.#samples.findLast((sample) => sample.position <= position);
    return reached === undefined ? Infinity : nowMs - reached.askedMs;
  }
}

/** What a standby is known to have replayed; it never goes back while the standby runs. */
export interface ReplayFloor {
  readonly timeline: number;
  readonly position: bigint;
}

/**
 * Whether everything up to the token can be read there.
 * @param position of the token.
 */
export function hasReached(
  floor: ReplayFloor | undefined,
  token: Token,
  position: bigint | undefined,
): boolean {
  return (
    floor !== undefined &&
    position !== undefined &&
    floor.timeline >= token.timeline &&
    floor.position >= position
  );
}
