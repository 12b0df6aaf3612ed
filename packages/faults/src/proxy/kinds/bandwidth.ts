import { integer, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import { type Chunk, notBefore } from '../chunk.ts';

export interface BandwidthOptions extends DirectionalFaultOptions {
  /** The rate of each direction of each connection. */
  bytesPerSecond: number;
}

const shape = { ...directionalShape, bytesPerSecond: integer({ min: 1, max: 1_000_000_000 }) };

/** How long one piece occupies the line at most, so that bytes trickle instead of arriving in bursts. */
const PIECE_MS = 20;

/** Limits the rate: a byte leaves when those before it have passed. */
export function bandwidth(options: unknown): Fault {
  const { bytesPerSecond, ...common } = parseOptions('bandwidth', shape, options);
  const pieceBytes = Math.max(1, Math.floor((bytesPerSecond * PIECE_MS) / 1_000));
  return {
    ...common,
    transform: () => {
      let freeAtMs = 0;
      return function* (chunk: Chunk): Generator<Chunk, void> {
        if (chunk.kind !== 'bytes') {
          yield notBefore(chunk, freeAtMs);
          return;
        }
        for (let from = 0; from < chunk.bytes.length; from += pieceBytes) {
          const bytes = chunk.bytes.subarray(from, from + pieceBytes);
          const lineMs = (bytes.length / bytesPerSecond) * 1_000;
          freeAtMs = Math.max(freeAtMs, chunk.dueMs) + lineMs;
          yield { ...chunk, bytes, dueMs: freeAtMs };
        }
      };
    },
  };
}
