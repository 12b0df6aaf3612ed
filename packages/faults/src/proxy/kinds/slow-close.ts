import { number, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { notBefore } from '../chunk.ts';

export interface SlowCloseOptions extends DirectionalFaultOptions {
  /** The delay of a half-close, in milliseconds. */
  delayMs: number;
}

const shape = { ...directionalShape, delayMs: number({ min: 0, max: 86_400_000 }) };

/** Delays the FIN; bytes pass unchanged. */
export function slowClose(options: unknown): Fault {
  const { delayMs, ...common } = parseOptions('slowClose', shape, options);
  return {
    ...common,
    transform: () => (chunk) =>
      chunk.kind === 'bytes' ? [chunk] : [notBefore(chunk, chunk.dueMs + delayMs)],
  };
}
