import { integer, oneOf, parseOptions } from '@holdfast/foundation';
import { type DirectedAim, type Fault, directedShape } from '../fault.ts';
import type { Parcel } from '../parcel.ts';

export interface LimitDataOptions extends DirectedAim {
  /** Bytes that pass, each way on each connection, counted from when the fault met it. */
  maxBytes: number;
  /** What follows them: FIN or RST, to both ends. Default `close`. */
  ending?: 'close' | 'reset';
}

const shape = {
  ...directedShape,
  maxBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  ending: oneOf(['close', 'reset'], 'close'),
};

/** So many bytes pass, then the connection is cut, in the middle of whatever it was. */
export function limitData(options: unknown): Fault {
  const { maxBytes, ending, ...aim } = parseOptions('limitData', shape, options);
  return {
    ...aim,
    stage: () => {
      let leftBytes = maxBytes;
      let isCut = false;
      return (parcel): readonly Parcel[] => {
        if (isCut) return [];
        if (parcel.kind !== 'bytes') return [parcel];
        if (parcel.bytes.length <= leftBytes) {
          leftBytes -= parcel.bytes.length;
          return [parcel];
        }
        isCut = true;
        const cut: Parcel = { kind: ending, dueMs: parcel.dueMs };
        if (leftBytes === 0) return [cut];
        return [{ ...parcel, bytes: parcel.bytes.subarray(0, leftBytes) }, cut];
      };
    },
  };
}
