import { integer, oneOf, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import type { Chunk } from '../chunk.ts';

export interface LimitDataOptions extends DirectionalFaultOptions {
  /** How many bytes pass in each direction of a connection, counted from when the fault applied to it. */
  maxBytes: number;
  /** Whether FIN or RST follows, to both ends. Default `close`. */
  ending?: 'close' | 'reset';
}

const shape = {
  ...directionalShape,
  maxBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  ending: oneOf(['close', 'reset'], 'close'),
};

/** Ends a connection after a number of bytes, in the middle of a message too. */
export function limitData(options: unknown): Fault {
  const { maxBytes, ending, ...common } = parseOptions('limitData', shape, options);
  return {
    ...common,
    transform: () => {
      let leftBytes = maxBytes;
      let isCut = false;
      return (chunk): readonly Chunk[] => {
        if (isCut) return [];
        if (chunk.kind !== 'bytes') return [chunk];
        if (chunk.bytes.length <= leftBytes) {
          leftBytes -= chunk.bytes.length;
          return [chunk];
        }
        isCut = true;
        const cut: Chunk = { kind: ending, dueMs: chunk.dueMs };
        if (leftBytes === 0) return [cut];
        return [{ ...chunk, bytes: chunk.bytes.subarray(0, leftBytes) }, cut];
      };
    },
  };
}
