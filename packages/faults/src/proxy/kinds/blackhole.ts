import { parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';

export type BlackholeOptions = DirectionalFaultOptions;

/**
 * Nothing passes, and nobody is told: a partition, one-way with a `direction`. Bytes stay where TCP keeps
 * them, in the buffers of both ends, and arrive when the fault goes; the end of a connection likewise.
 */
export function blackhole(options: unknown): Fault {
  return { ...parseOptions('blackhole', directionalShape, options), holds: true };
}
