import { integer, oneOf, parseOptions } from '@holdfast/foundation';
import { type DirectionalFaultOptions, type Fault, directionalShape } from '../fault.ts';
import type { Chunk } from '../chunk.ts';

export interface LimitDataOptions extends DirectionalFaultOptions {
  /** Bytes that pass, each way on each connection, counted from when the fault met it. */
  maxBytes: number;
  /** What follows them: FIN or RST, to both ends. Default `close`. */
  ending?: 'close' | 'reset';
}

const shape = {
  ...directionalShape,
  maxBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  ending: oneOf(['close', 'reset'], 'close'),
};

/** So many bytes pass, then the connection is cut, in the middle of whatever it was. */
export function limitData(options: unknown): Fault {
  const { maxBytes, ending, ...aim } = parseOptions('limitData', shape, options);
  return {
    ...aim,
    transform: () => {
      let leftBytes = maxBytes;
      let isCut = false;
      return (parcel): readonly Chunk[] => {
        if (isCut) return [];
        if (parcel.kind !== 'bytes') return [parcel];
        if (parcel.bytes.length <= leftBytes) {
          leftBytes -= parcel.bytes.length;
          return [parcel];
        }
        isCut = true;
        const cut: Chunk = { kind: ending, dueMs: parcel.dueMs };
        if (leftBytes === 0) return [cut];
        return [{ ...parcel, bytes: parcel.bytes.subarray(0, leftBytes) }, cut];
      };
    },
  };
}
