import { type Random, number, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import type { Chunk } from '../chunk.ts';

export interface CorruptOptions extends DirectionalFaultOptions {
  /** Share of the bytes in which one bit is flipped, above 0 up to 1. */
  byteShare: number;
}

const shape = { ...directionalShape, byteShare: number({ min: 1e-9, max: 1 }) };

/** Bits flip, at the same places of the stream whatever its packets were. */
export function corrupt(options: unknown): Fault {
  const { byteShare, ...aim } = parseOptions('corrupt', shape, options);
  return {
    ...aim,
    transform: (random) => {
      let untilNext = gap(byteShare, random);
      return (parcel): readonly Chunk[] => {
        if (parcel.kind !== 'bytes') return [parcel];
        const { length } = parcel.bytes;
        if (untilNext >= length) {
          untilNext -= length;
          return [parcel];
        }
        const bytes = Buffer.from(parcel.bytes);
        let at = untilNext;
        while (at < length) {
          bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
          at += 1 + gap(byteShare, random);
        }
        untilNext = at - length;
        return [{ ...parcel, bytes }];
      };
    },
  };
}

/** How many bytes stay whole before the next one: geometric, so that no byte needs a draw of its own. */
function gap(share: number, random: Random): number {
  return share === 1 ? 0 : Math.floor(Math.log1p(-random()) / Math.log1p(-share));
}
