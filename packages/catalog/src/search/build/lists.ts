import type { ListBuffers } from '../format/index-buffers.ts';
import { sharedCodes, sharedUint32 } from '../format/numbers.ts';
import { GrowableUint32 } from './growable.ts';

/** Roughly what an entry of the map takes beside its key. */
const ENTRY_BYTES = 64;

/** A list of numbers for each bundle that came; equal lists are stored once. */
export class Lists {
  readonly #known = new Map<string, number>();
  /** By bundle. */
  readonly #codes = new GrowableUint32();
  /** Where each list begins; the last is the end. */
  readonly #starts = new GrowableUint32();
  readonly #numbers = new GrowableUint32();
  #keyBytes = 0;

  constructor() {
    this.#starts.push(0);
  }

  get bytes(): number {
    return this.#codes.bytes + this.#starts.bytes + this.#numbers.bytes + this.#keyBytes;
  }

  /** @param numbers distinct. */
  push(numbers: readonly number[]): void {
    const key = numbers.join();
    let code = this.#known.get(key);
    if (code === undefined) {
      code = this.#known.size;
      this.#known.set(key, code);
      this.#keyBytes += ENTRY_BYTES + key.length;
      for (const number of numbers) this.#numbers.push(number);
      this.#starts.push(this.#numbers.length);
    }
    this.#codes.push(code);
  }

  /** Releases the memory; the lists are of no use afterwards. */
  free(): void {
    for (const part of [this.#codes, this.#starts, this.#numbers]) part.free();
    this.#known.clear();
  }

  visit(bundle: number, visit: (number: number) => void): void {
    const code = this.#codes.array[bundle] ?? 0;
    const end = this.#starts.array[code + 1] ?? 0;
    for (let at = this.#starts.array[code] ?? 0; at < end; at += 1) {
      visit(this.#numbers.array[at] ?? 0);
    }
  }

  /**
   * @param bundles by row.
   * @param ranks by number, the place of its key.
   */
  finish(bundles: Uint32Array, ranks: Uint32Array): ListBuffers {
    const codes = sharedCodes(bundles.length, this.#known.size);
    for (let row = 0; row < bundles.length; row += 1) {
      codes[row] = this.#codes.array[bundles[row] ?? 0] ?? 0;
    }
    const starts = sharedUint32(this.#starts.length);
    starts.set(this.#starts.array.subarray(0, this.#starts.length));
    const keys = sharedCodes(this.#numbers.length, ranks.length);
    for (let at = 0; at < keys.length; at += 1) {
      keys[at] = ranks[this.#numbers.array[at] ?? 0] ?? 0;
    }
    return { codes, starts, keys };
  }
}
