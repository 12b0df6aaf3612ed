import { decode, isTagged } from '../codec/decode.ts';
import { encode } from '../codec/encode.ts';
import { heapBytes, stringBytes } from '../codec/heap-bytes.ts';

/**
 * How a value is held between `set` and `get`.
 * `'frozen'`: a copy of its own. Plain data is frozen and shared by all readers; what cannot be frozen (Date, Map,
 * Set, errors, buffers) is held encoded, and each reader has a value of its own.
 * `'encoded'`: as text; each reader has a value of its own. Less memory, slower hits.
 * `'reference'`: the value itself. Nothing is copied, and a change by anyone is seen by all.
 */
export type HoldMode = 'frozen' | 'encoded' | 'reference';

/** A value as it is held, and how many bytes of memory that takes. */
interface Holding<T> {
  readonly held: T | EncodedValue<T>;
  readonly bytes: number;
}

/** A value as text, of which every reader gets a new one. */
export class EncodedValue<T> {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  read(): T {
    return decode(this.#text);
  }
}

const ENCODED_VALUE = 32;
/** V8 makes a shorter part of a string a string of its own. */
const SHORTEST_SLICE = 13;

/** @throws CacheValueError */
export function hold<T>(value: T, mode: HoldMode): Holding<T> {
  const text = isScalar(value) ? undefined : encode(value);
  if (text === undefined || mode === 'reference') return { held: value, bytes: heapBytes(value) };
  if (typeof value !== 'string' && (mode === 'encoded' || isTagged(text))) {
    return { held: new EncodedValue(text), bytes: ENCODED_VALUE + stringBytes(text) };
  }
  const held: T = frozen(decode(text));
  return { held, bytes: heapBytes(held) };
}

/** The value of a holding, for one reader. */
export function release<T>(held: T | EncodedValue<T>): T {
  return held instanceof EncodedValue ? held.read() : held;
}

/** What has no parts and is a value of its own already. */
function isScalar(value: unknown): boolean {
  return value === null || ['number', 'boolean', 'bigint', 'undefined'].includes(typeof value);
}

/** A copy without the longer string that a slice keeps alive, or the many that a concatenation does. */
export function flattened(text: string): string {
  if (text.length < SHORTEST_SLICE) return text;
  const encoding = Buffer.byteLength(text) === text.length ? 'latin1' : 'utf16le';
  return Buffer.from(text, encoding).toString(encoding);
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
