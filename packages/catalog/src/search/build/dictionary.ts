import { type Random, systemRandom } from '@holdfast/foundation';
import type { StringTableBuffers } from '../format/index-buffers.ts';
import { encodeText } from '../format/text-bytes.ts';
import { StringList } from './strings.ts';

/** The keys of postings, and what the numbers that they had in the dictionary have become. */
export interface FinishedKeys {
  readonly keys: StringTableBuffers;
  /** By number: the place of its key. */
  readonly ranks: Uint32Array;
  /** By place: its number. */
  readonly order: Uint32Array;
}

/**
 * Gives each distinct string a number, in the order in which they came. A hash table with linear probing (Knuth, The
 * Art of Computer Programming, 6.4) outside of the heap, where a million words would take six times as much.
 */
export class Dictionary {
  readonly #strings = new StringList();
  /** Nobody outside can choose strings whose hashes are equal. */
  readonly #seed: number;
  /** The number and 1; 0 where the slot is free. At most half are taken. */
  #slots = new Uint32Array(1_024);
  /** What was encoded last. */
  readonly #scratch = new Uint8Array(256);

  constructor(random: Random = systemRandom) {
    this.#seed = Math.floor(random() * 4_294_967_296);
  }

  get bytes(): number {
    return this.#strings.bytes + this.#slots.byteLength;
  }

  numberOf(text: string): number {
    const bytes = this.#encode(text);
    let slot = this.#slotOf(bytes);
    for (let taken = this.#slots[slot] ?? 0; taken !== 0; taken = this.#slots[slot] ?? 0) {
      if (this.#strings.isAt(taken - 1, bytes)) return taken - 1;
      slot = (slot + 1) % this.#slots.length;
    }
    const number = this.#strings.length;
    this.#strings.push(bytes);
    this.#slots[slot] = number + 1;
    if (this.#strings.length * 2 > this.#slots.length) this.#grow();
    return number;
  }

  /** Sorts. The dictionary is of no use afterwards. */
  finish(): FinishedKeys {
    this.#slots = new Uint32Array(0);
    const order = this.#strings.sorted();
    const ranks = new Uint32Array(order.length);
    for (let rank = 0; rank < order.length; rank += 1) ranks[order[rank] ?? 0] = rank;
    const keys = this.#strings.toTable(order);
    this.#strings.free();
    return { keys, ranks, order };
  }

  #encode(text: string): Uint8Array {
    const scratch = this.#scratch;
    if (text.length > scratch.length) return encodeText(text);
    for (let at = 0; at < text.length; at += 1) {
      const unit = text.charCodeAt(at);
      if (unit >= 0x80) return encodeText(text);
      scratch[at] = unit;
    }
    return scratch.subarray(0, text.length);
  }

  /** FNV-1a (Fowler, Noll, Vo), from the seed. */
  #slotOf(bytes: Uint8Array): number {
    let hash = this.#seed;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x0100_0193);
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let number = 0; number < this.#strings.length; number += 1) {
      let slot = this.#slotOf(this.#strings.at(number));
      while (this.#slots[slot] !== 0) slot = (slot + 1) % this.#slots.length;
      this.#slots[slot] = number + 1;
    }
  }
}
