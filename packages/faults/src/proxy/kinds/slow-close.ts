import { number, parseOptions } from '@holdfast/foundation';
import { type DirectedAim, type Fault, directedShape } from '../fault.ts';
import { notBefore } from '../parcel.ts';

export interface SlowCloseOptions extends DirectedAim {
  /** Milliseconds by which the end of a direction comes later. */
  delayMs: number;
}

const shape = { ...directedShape, delayMs: number({ min: 0, max: 86_400_000 }) };

/** Bytes pass as ever; the FIN after them is late. */
export function slowClose(options: unknown): Fault {
  const { delayMs, ...aim } = parseOptions('slowClose', shape, options);
  return {
    ...aim,
    stage: () => (parcel) =>
      parcel.kind === 'bytes' ? [parcel] : [notBefore(parcel, parcel.dueMs + delayMs)],
  };
}
