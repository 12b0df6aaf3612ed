import { parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';

export type BlackholeOptions = DirectionalFaultOptions;

/**
 * Nothing passes, without an error: a network partition, one-way with a `direction`. TCP keeps the bytes in the buffers
 * of both ends; they arrive when the fault ends, and so does the end of a connection.
 */
export function blackhole(options: unknown): Fault {
  return { ...parseOptions('blackhole', directionalShape, options), holds: true };
}
