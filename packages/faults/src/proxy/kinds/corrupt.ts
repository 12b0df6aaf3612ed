import { type Random, number, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import type { Chunk } from '../chunk.ts';

export interface CorruptOptions extends DirectionalFaultOptions {
  /** The share of the bytes in which one bit is flipped, above 0 up to 1. */
  byteShare: number;
}

const shape = { ...directionalShape, byteShare: number({ min: 1e-9, max: 1 }) };

/** Flips bits at the same offsets of the stream, however it is split into packets. */
export function corrupt(options: unknown): Fault {
  const { byteShare, ...common } = parseOptions('corrupt', shape, options);
  return {
    ...common,
    transform: (random) => {
      let untilNext = gap(byteShare, random);
      return (chunk): readonly Chunk[] => {
        if (chunk.kind !== 'bytes') return [chunk];
        const { length } = chunk.bytes;
        if (untilNext >= length) {
          untilNext -= length;
          return [chunk];
        }
        const bytes = Buffer.from(chunk.bytes);
        let at = untilNext;
        while (at < length) {
          bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
          at += 1 + gap(byteShare, random);
        }
        untilNext = at - length;
        return [{ ...chunk, bytes }];
      };
    },
  };
}

/** The number of unchanged bytes before the next changed one: geometric, so that not every byte needs a draw. */
function gap(share: number, random: Random): number {
  return share === 1 ? 0 : Math.floor(Math.log1p(-random()) / Math.log1p(-share));
}
