import { number, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { notBefore } from '../chunk.ts';

export interface SlowCloseOptions extends DirectionalFaultOptions {
  /** Milliseconds by which the end of a direction comes later. */
  delayMs: number;
}

const shape = { ...directionalShape, delayMs: number({ min: 0, max: 86_400_000 }) };

/** Bytes pass as ever; the FIN after them is late. */
export function slowClose(options: unknown): Fault {
  const { delayMs, ...aim } = parseOptions('slowClose', shape, options);
  return {
    ...aim,
    transform: () => (parcel) =>
      parcel.kind === 'bytes' ? [parcel] : [notBefore(parcel, parcel.dueMs + delayMs)],
  };
}
