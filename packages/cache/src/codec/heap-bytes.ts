import { types } from 'node:util';

/** Sizes of V8 on a 64-bit machine, each with its header. */
const WORD = 8;
const STRING = 16;
const NUMBER = 16;
const OBJECT = 56;
const ARRAY = 32;
const VIEW = 200;
/** Objects with more properties are counted as tables whose keys and shape no other object shares. */
const SHAPED = 24;
const TABLE_ENTRY = 136;

/** A bound for what a string without other strings behind it takes. */
export function stringBytes(text: string): number {
  // Of one byte each only if all are; non-ASCII text is counted with two.
  const width = Buffer.byteLength(text) === text.length ? 1 : 2;
  return STRING + roundedUp(text.length * width);
}

/** A bound for what a value takes on the heap and outside of it. Deep values were refused before. */
export function heapBytes(value: unknown): number {
  if (typeof value === 'string') return stringBytes(value);
  if (typeof value === 'number') return NUMBER;
  if (typeof value === 'bigint') return NUMBER + roundedUp(value.toString(16).length / 2);
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return ARRAY + sumOf(value, (item) => WORD + heapBytes(item));
  if (ArrayBuffer.isView(value)) return VIEW + roundedUp(value.buffer.byteLength);
  if (types.isArrayBuffer(value)) return VIEW + roundedUp(value.byteLength);
  if (types.isMap(value)) {
    return VIEW + sumOf([...value].flat(), (part) => TABLE_ENTRY + heapBytes(part));
  }
  if (types.isSet(value)) return VIEW + sumOf([...value], (part) => TABLE_ENTRY + heapBytes(part));
  const keys = Object.getOwnPropertyNames(value);
  const perKey = (key: string): number =>
    keys.length <= SHAPED ? WORD : TABLE_ENTRY + stringBytes(key);
  return OBJECT + sumOf(keys, (key) => perKey(key) + heapBytes(Reflect.get(value, key)));
}

function sumOf<T>(items: readonly T[], bytesOf: (item: T) => number): number {
  let sum = 0;
  for (const item of items) sum += bytesOf(item);
  return sum;
}

function roundedUp(bytes: number): number {
  return Math.ceil(bytes / WORD) * WORD;
}
