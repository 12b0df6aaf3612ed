import { type Random, number, oneOf, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { type Chunk, notBefore } from '../chunk.ts';

export interface LatencyOptions extends DirectionalFaultOptions {
  /** The delay of everything that passes, in milliseconds. */
  latencyMs: number;
  /** How far the delay varies; its meaning depends on `distribution`. Default 0. */
  jitterMs?: number;
  /**
   * `uniform`: up to `jitterMs` less or more. `normal`: a standard deviation of `jitterMs`.
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

/** Delays everything, the half-close too, and keeps the order. */
export function latency(options: unknown): Fault {
  const { latencyMs, jitterMs, distribution, ...common } = parseOptions('latency', shape, options);
  const draw = deviations[distribution];
  return {
    ...common,
    transform:
      (random) =>
      (chunk: Chunk): readonly Chunk[] => {
        const delayMs = latencyMs + (jitterMs === 0 ? 0 : jitterMs * draw(random));
        return [notBefore(chunk, chunk.dueMs + Math.min(MAX_MS, Math.max(0, delayMs)))];
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
  // Lomax with exponent 3 and mean 1: a finite variance and a heavy tail.
  pareto: (random: Random) => 2 * ((1 - random()) ** (-1 / 3) - 1),
};
