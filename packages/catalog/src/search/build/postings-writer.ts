import type { PostingsBuffers } from '../format/index-buffers.ts';
import { wordsFor } from '../format/bitmap.ts';
import { sharedUint32 } from '../format/numbers.ts';
import { isDense } from '../format/postings.ts';
import { sizeOfNumber } from './growable.ts';

/** Calls `visit` with each key of a row; one may come several times. */
type VisitKeys = (row: number, visit: (key: number) => void) => void;

/**
 * The rows of each key, in two passes over the rows: the first measures, so that the second writes each number once, to
 * its final place.
 */
export function writePostings(rows: number, keys: number, visitKeys: VisitKeys): PostingsBuffers {
  const { counts, sizes } = measure(rows, keys, visitKeys);
  const starts = sharedUint32(keys + 1);
  let bitmapCount = 0;
  for (let key = 0; key < keys; key += 1) {
    const count = counts[key] ?? 0;
    let size = sizes[key] ?? 0;
    if (isDense(count, rows)) {
      size = sizeOfNumber(bitmapCount);
      bitmapCount += 1;
    }
    starts[key + 1] = (starts[key] ?? 0) + sizeOfNumber(count) + size;
  }
  const bytes = new Uint8Array(new SharedArrayBuffer(starts[keys] ?? 0));
  const bitmaps = sharedUint32(bitmapCount * wordsFor(rows));
  write(rows, { counts, starts, bytes, bitmaps }, visitKeys);
  return { starts, bytes, bitmaps };
}

function measure(rows: number, keys: number, visitKeys: VisitKeys) {
  const counts = new Uint32Array(keys);
  const sizes = new Uint32Array(keys);
  /** By key, the row that came last, counted from 1. */
  const last = new Uint32Array(keys);
  let row = 0;
  const visit = (key: number): void => {
    const before = last[key] ?? 0;
    if (before > row) return;
    counts[key] = (counts[key] ?? 0) + 1;
    sizes[key] = (sizes[key] ?? 0) + sizeOfNumber(row - before);
    last[key] = row + 1;
  };
  for (; row < rows; row += 1) visitKeys(row, visit);
  return { counts, sizes };
}

function write(
  rows: number,
  into: PostingsBuffers & { readonly counts: Uint32Array },
  visitKeys: VisitKeys,
): void {
  const { counts, starts, bytes, bitmaps } = into;
  const keys = counts.length;
  const last = new Uint32Array(keys);
  /** By key: where its next number is written, or for one with many rows, where its bitmap begins. */
  const places = new Uint32Array(starts.subarray(0, keys));
  const put = (key: number, value: number): void => {
    let at = places[key] ?? 0;
    let left = value;
    for (; left >= 0x80; left >>>= 7) {
      bytes[at] = (left & 0x7f) | 0x80;
      at += 1;
    }
    bytes[at] = left;
    places[key] = at + 1;
  };
  let bitmapCount = 0;
  for (let key = 0; key < keys; key += 1) {
    put(key, counts[key] ?? 0);
    if (!isDense(counts[key] ?? 0, rows)) continue;
    put(key, bitmapCount);
    places[key] = bitmapCount * wordsFor(rows);
    bitmapCount += 1;
  }
  let row = 0;
  const visit = (key: number): void => {
    const before = last[key] ?? 0;
    if (before > row) return;
    last[key] = row + 1;
    if (isDense(counts[key] ?? 0, rows)) {
      const word = (places[key] ?? 0) + (row >>> 5);
      bitmaps[word] = (bitmaps[word] ?? 0) | (1 << (row & 31));
    } else {
      put(key, row - before);
    }
  };
  for (; row < rows; row += 1) visitKeys(row, visit);
}
