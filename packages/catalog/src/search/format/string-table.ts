import type { StringTableBuffers } from './index-buffers.ts';
import { NumberReader } from './number-reader.ts';
import { compareBytes, decodeText, encodeText } from './text-bytes.ts';

/** How many strings make a block, whose first is whole. */
export const BLOCK = 16;

/** Strings by their place; where they are sorted, also places by string or prefix. */
export class StringTable {
  readonly length: number;
  readonly #blocks: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #numbers: NumberReader;
  /** The string that was decoded last; its end is in `#end`. */
  #decoded: Buffer = Buffer.alloc(64);
  #end = 0;

  constructor({ length, blocks, bytes }: StringTableBuffers) {
    this.length = length;
    this.#blocks = blocks;
    this.#bytes = bytes;
    this.#numbers = new NumberReader(bytes);
  }

  get(place: number): string {
    this.#decodeFirst(Math.floor(place / BLOCK));
    for (let left = place % BLOCK; left > 0; left -= 1) this.#decodeNext();
    return decodeText(this.#decoded, this.#end);
  }

  /** The place of a string, or -1. */
  find(text: string): number {
    const key = encodeText(text);
    const place = this.#firstNotBefore(key, false);
    return place < this.length && compareBytes(this.#entry(), key) === 0 ? place : -1;
  }

  /** The places of the strings that begin so: from the first up to, not including, the second. */
  withPrefix(prefix: string): readonly [from: number, to: number] {
    const key = encodeText(prefix);
    return [this.#firstNotBefore(key, false), this.#firstNotBefore(key, true)];
  }

  /**
   * The first place whose string is not before `key`; with `pastPrefix`, those that begin with `key` count as before
   * it. The string there is then decoded.
   */
  #firstNotBefore(key: Uint8Array, pastPrefix: boolean): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      this.#decodeFirst(middle);
      if (this.#isBefore(key, pastPrefix)) low = middle + 1;
      else high = middle;
    }
    if (low === 0) {
      if (this.length > 0) this.#decodeFirst(0);
      return 0;
    }
    const end = Math.min(low * BLOCK, this.length);
    this.#decodeFirst(low - 1);
    for (let place = (low - 1) * BLOCK + 1; place < end; place += 1) {
      this.#decodeNext();
      if (!this.#isBefore(key, pastPrefix)) return place;
    }
    if (end < this.length) this.#decodeFirst(low);
    return end;
  }

  #isBefore(key: Uint8Array, pastPrefix: boolean): boolean {
    const entry = this.#entry();
    if (pastPrefix && entry.length > key.length) {
      return compareBytes(entry.subarray(0, key.length), key) <= 0;
    }
    const compared = compareBytes(entry, key);
    return compared < 0 || (pastPrefix && compared === 0);
  }

  #entry(): Uint8Array {
    return this.#decoded.subarray(0, this.#end);
  }

  #decodeFirst(block: number): void {
    this.#numbers.at = this.#blocks[block] ?? 0;
    this.#end = 0;
    this.#decodeNext(0);
  }

  #decodeNext(kept: number = this.#numbers.read()): void {
    const added = this.#numbers.read();
    const end = kept + added;
    if (end > this.#decoded.length) {
      this.#decoded = Buffer.concat([this.#decoded], end * 2);
    }
    const decoded = this.#decoded;
    const bytes = this.#bytes;
    let from = this.#numbers.at;
    for (let at = kept; at < end; at += 1) {
      decoded[at] = bytes[from] ?? 0;
      from += 1;
    }
    this.#numbers.at = from;
    this.#end = end;
  }
}
