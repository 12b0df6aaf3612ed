import { integer, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { type Chunk, notBefore } from '../chunk.ts';

export interface BandwidthOptions extends DirectionalFaultOptions {
  /** What passes in a second, each way on each connection. */
  bytesPerSecond: number;
}

const shape = { ...directionalShape, bytesPerSecond: integer({ min: 1, max: 1_000_000_000 }) };

/** A piece lasts no longer than this on the line, so that a slow line trickles instead of jerking. */
const PIECE_MS = 20;

/** A narrow line: a byte leaves when those before it have passed. */
export function bandwidth(options: unknown): Fault {
  const { bytesPerSecond, ...aim } = parseOptions('bandwidth', shape, options);
  const pieceBytes = Math.max(1, Math.floor((bytesPerSecond * PIECE_MS) / 1_000));
  return {
    ...aim,
    transform: () => {
      let freeAtMs = 0;
      return (parcel): readonly Chunk[] => {
        if (parcel.kind !== 'bytes') return [notBefore(parcel, freeAtMs)];
        const pieces: Chunk[] = [];
        for (let from = 0; from < parcel.bytes.length; from += pieceBytes) {
          const bytes = parcel.bytes.subarray(from, from + pieceBytes);
          const lineMs = (bytes.length / bytesPerSecond) * 1_000;
          freeAtMs = Math.max(freeAtMs, parcel.dueMs) + lineMs;
          pieces.push({ ...parcel, bytes, dueMs: freeAtMs });
        }
        return pieces;
      };
    },
  };
}
