import { addAll, sliceRows, wordsFor } from './bitmap.ts';
import type { PostingsBuffers } from './index-buffers.ts';
import { NumberReader } from './number-reader.ts';

/** Whether so many rows are stored as a bitmap: from here on, their distances would take more. */
export function isDense(count: number, rows: number): boolean {
  return count * 8 >= rows;
}

/** The rows of each key. */
export class Postings {
  readonly #starts: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #bitmaps: Uint32Array;
  readonly #rows: number;
  readonly #numbers: NumberReader;

  constructor({ starts, bytes, bitmaps }: PostingsBuffers, rows: number) {
    this.#starts = starts;
    this.#bytes = bytes;
    this.#bitmaps = bitmaps;
    this.#rows = rows;
    this.#numbers = new NumberReader(bytes);
  }

  /** How many rows have the key. */
  count(key: number): number {
    this.#numbers.at = this.#starts[key] ?? 0;
    return this.#numbers.read();
  }

  /** The bitmap of a key with many rows: where it begins in {@link bitmaps}. -1 for any other. */
  bitmapOf(key: number): number {
    return isDense(this.count(key), this.#rows) ? this.#numbers.read() * wordsFor(this.#rows) : -1;
  }

  get bitmaps(): Uint32Array {
    return this.#bitmaps;
  }

  /** Adds the rows of the key to a set. */
  addTo(words: Uint32Array, key: number): void {
    const bitmap = this.bitmapOf(key);
    if (bitmap !== -1) {
      addAll(words, this.#bitmaps, bitmap);
      return;
    }
    const bytes = this.#bytes;
    const end = this.#starts[key + 1] ?? 0;
    let row = -1;
    for (let at = this.#numbers.at; at < end;) {
      let byte = bytes[at] ?? 0;
      at += 1;
      let distance = byte & 0x7f;
      for (let shift = 7; byte >= 0x80; shift += 7) {
        byte = bytes[at] ?? 0;
        at += 1;
        distance |= (byte & 0x7f) << shift;
      }
      row += distance + 1;
      words[row >>> 5] = (words[row >>> 5] ?? 0) | (1 << (row & 31));
    }
  }

  /** The rows of the key, ascending, from place `offset` up to, not including, `end`. */
  slice(key: number, offset: number, end: number): number[] {
    const bitmap = this.bitmapOf(key);
    if (bitmap !== -1) {
      const words = this.#bitmaps.subarray(bitmap, bitmap + wordsFor(this.#rows));
      return sliceRows(words, offset, end);
    }
    const rows: number[] = [];
    let row = -1;
    for (let place = 0; place < end; place += 1) {
      row += this.#numbers.read() + 1;
      if (place >= offset) rows.push(row);
    }
    return rows;
  }
}
