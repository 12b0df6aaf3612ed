import { type Random, number, oneOf, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { type Chunk, notBefore } from '../chunk.ts';

export interface LatencyOptions extends DirectionalFaultOptions {
  /** Delay of all that passes, in milliseconds. */
  latencyMs: number;
  /** How far the delay varies; what it measures depends on `distribution`. Default 0. */
  jitterMs?: number;
  /**
   * `uniform`: up to `jitterMs` less or more. `normal`: `jitterMs` is the standard deviation.
   * `exponential`, `pareto`: `jitterMs` more on average, rarely much more. Default `uniform`.
   */
  distribution?: 'uniform' | 'normal' | 'exponential' | 'pareto';
}

const MAX_MS = 86_400_000;
const shape = {
  ...directionalShape,
  latencyMs: number({ min: 0, max: MAX_MS }),
  jitterMs: number({ min: 0, max: MAX_MS, default: 0 }),
  distribution: oneOf(['uniform', 'normal', 'exponential', 'pareto'], 'uniform'),
};

/** Everything comes later, in its order; the half-close too. */
export function latency(options: unknown): Fault {
  const { latencyMs, jitterMs, distribution, ...aim } = parseOptions('latency', shape, options);
  const draw = deviations[distribution];
  return {
    ...aim,
    transform:
      (random) =>
      (parcel: Chunk): readonly Chunk[] => {
        const delayMs = latencyMs + (jitterMs === 0 ? 0 : jitterMs * draw(random));
        return [notBefore(parcel, parcel.dueMs + Math.min(MAX_MS, Math.max(0, delayMs)))];
      },
  };
}

/** Deviations from the delay, in units of the jitter. */
const deviations = {
  uniform: (random: Random) => 2 * random() - 1,
  // Box and Muller, 1958.
  normal: (random: Random) =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  exponential: (random: Random) => -Math.log(1 - random()),
  // Lomax with exponent 3 and mean 1: a finite variance, and a tail that is felt.
  pareto: (random: Random) => 2 * ((1 - random()) ** (-1 / 3) - 1),
};
