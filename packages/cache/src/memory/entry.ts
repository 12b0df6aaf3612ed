import { stringBytes } from '../codec/heap-bytes.ts';
import { hashOf } from './hash.ts';

/** The rows of an entry in the arrays, and its place in the index and in the ghost. */
const ENTRY_BYTES = 144;

/** What an entry takes with its key. */
export function entryBytes(key: string, valueBytes: number): number {
  return ENTRY_BYTES + stringBytes(key) + valueBytes;
}

/** A time shortened by up to the share `jitter`, by the same part for a key each time. */
export function jittered(key: string, ms: number, jitter: number): number {
  return jitter === 0 ? ms : ms * (1 - (jitter * hashOf(key)) / 0x1_0000_0000);
}
