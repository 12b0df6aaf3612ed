import { InvalidOptionError, integer, number, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { type Chunk, notBefore } from '../chunk.ts';

export interface SliceOptions extends DirectionalFaultOptions {
  /** The length of a slice. */
  sliceBytes: number;
  /** How far the length varies, drawn for each slice. Default 0; less than `sliceBytes`. */
  jitterBytes?: number;
  /** Milliseconds between slices. Default 0. */
  delayMs?: number;
}

const shape = {
  ...directionalShape,
  sliceBytes: integer({ min: 1, max: 1_000_000_000 }),
  jitterBytes: integer({ min: 0, max: 1_000_000_000, default: 0 }),
  delayMs: number({ min: 0, max: 86_400_000, default: 0 }),
};

/** Splits bytes into small slices at the same offsets of the stream, however it is split into packets. */
export function slice(options: unknown): Fault {
  const { sliceBytes, jitterBytes, delayMs, ...common } = parseOptions('slice', shape, options);
  if (jitterBytes > 0 && jitterBytes >= sliceBytes)
    throw new InvalidOptionError('slice', 'jitterBytes', jitterBytes, 'less than sliceBytes');
  return {
    ...common,
    transform: (random) => {
      const drawn = (): number =>
        Math.max(1, Math.round(sliceBytes + jitterBytes * (2 * random() - 1)));
      let leftBytes = drawn();
      let nextMs = 0;
      return function* (chunk: Chunk): Generator<Chunk, void> {
        if (chunk.kind !== 'bytes') {
          yield notBefore(chunk, nextMs - delayMs);
          return;
        }
        let from = 0;
        while (from < chunk.bytes.length) {
          const bytes = chunk.bytes.subarray(from, from + leftBytes);
          const dueMs = Math.max(chunk.dueMs, nextMs);
          from += bytes.length;
          leftBytes -= bytes.length;
          if (leftBytes === 0) {
            leftBytes = drawn();
            nextMs = dueMs + delayMs;
          }
          yield { ...chunk, bytes, dueMs };
        }
      };
    },
  };
}
