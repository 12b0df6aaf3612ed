import { integer, number, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { type Chunk, notBefore } from '../chunk.ts';

export interface SliceOptions extends DirectionalFaultOptions {
  /** Bytes of a slice. */
  sliceBytes: number;
  /** Up to so many less or more, drawn for each slice. Default 0; less than `sliceBytes`. */
  jitterBytes?: number;
  /** Milliseconds between one slice and the next. Default 0. */
  delayMs?: number;
}

const shape = {
  ...directionalShape,
  sliceBytes: integer({ min: 1, max: 1_000_000_000 }),
  jitterBytes: integer({ min: 0, max: 1_000_000_000, default: 0 }),
  delayMs: number({ min: 0, max: 86_400_000, default: 0 }),
};

/** Bytes come in small slices, cut at the same places of the stream whatever its packets were. */
export function slice(options: unknown): Fault {
  const { sliceBytes, jitterBytes, delayMs, ...aim } = parseOptions('slice', shape, options);
  return {
    ...aim,
    transform: (random) => {
      const drawn = (): number =>
        Math.max(1, Math.round(sliceBytes + jitterBytes * (2 * random() - 1)));
      let leftBytes = drawn();
      let nextMs = 0;
      return (parcel): readonly Chunk[] => {
        if (parcel.kind !== 'bytes') return [notBefore(parcel, nextMs - delayMs)];
        const slices: Chunk[] = [];
        let from = 0;
        while (from < parcel.bytes.length) {
          const bytes = parcel.bytes.subarray(from, from + leftBytes);
          const dueMs = Math.max(parcel.dueMs, nextMs);
          slices.push({ ...parcel, bytes, dueMs });
          from += bytes.length;
          leftBytes -= bytes.length;
          if (leftBytes === 0) {
            leftBytes = drawn();
            nextMs = dueMs + delayMs;
          }
        }
        return slices;
      };
    },
  };
}
