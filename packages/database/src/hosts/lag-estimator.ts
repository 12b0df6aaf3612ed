import type { Token } from '../database.ts';

const MAX_SAMPLES = 1_000;

/**
 * Records the position of the primary's log over time, which gives an upper bound of a standby's lag. The standby
 * itself cannot tell: with replay paused or its stream cut it looks healthy.
 */
export class LagEstimator {
  readonly #samples: { readonly probedMs: number; readonly position: bigint }[] = [];

  /** @param probedMs the time before the probe: everything committed by then is within `position`. */
  record(probedMs: number, position: bigint): void {
    this.#samples.push({ probedMs, position });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  /** A new timeline has begun. */
  reset(): void {
    this.#samples.length = 0;
  }

  /** The upper bound of the lag of a standby at this position; `Infinity` if unknown. */
  lagMs(position: bigint, nowMs: number): number {
    const reached = this.#samples.findLast((sample) => sample.position <= position);
    return reached === undefined ? Infinity : nowMs - reached.probedMs;
  }
}

/** A position that a standby is known to have replayed. Replay never goes back while the standby runs. */
export interface ReplayedPosition {
  readonly timeline: number;
  readonly position: bigint;
}

/** Whether a host has replayed the token. @param position the position of the token. */
export function hasReplayed(
  replayed: ReplayedPosition | undefined,
  token: Token,
  position: bigint | undefined,
): boolean {
  return (
    replayed !== undefined &&
    position !== undefined &&
    replayed.timeline >= token.timeline &&
    replayed.position >= position
  );
}
