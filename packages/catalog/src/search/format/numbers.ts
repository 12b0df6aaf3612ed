/** Whole numbers from 0, in as few bytes each as the highest needs. */
export type Codes = Uint8Array | Uint16Array | Uint32Array;

export function sharedUint32(length: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(length * Uint32Array.BYTES_PER_ELEMENT));
}

export function sharedFloat64(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
}

/** A copy in shared memory. */
export function sharedBytes(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** @param count the codes are lower than it. */
export function sharedCodes(length: number, count: number): Codes {
  if (count <= 0x100) return new Uint8Array(new SharedArrayBuffer(length));
  if (count <= 0x1_0000) return new Uint16Array(new SharedArrayBuffer(length * 2));
  return sharedUint32(length);
}

/** The first index in ascending `values` whose value is at least `wanted`, or over it. */
export function lowerBound(
  values: Float64Array | Uint32Array,
  wanted: number,
  isOver: boolean = false,
): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = values[middle] ?? 0;
    if (value < wanted || (isOver && value === wanted)) low = middle + 1;
    else high = middle;
  }
  return low;
}
