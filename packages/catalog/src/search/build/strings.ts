import type { StringTableBuffers } from '../format/index-buffers.ts';
import { sharedBytes, sharedUint32 } from '../format/numbers.ts';
import { BLOCK } from '../format/string-table.ts';
import { GrowableBytes, GrowableUint32 } from './growable.ts';

/** Strings, encoded, in the order in which they came. */
export class StringList {
  readonly #bytes = new GrowableBytes();
  /** Where each begins; the last is the end. */
  readonly #starts = new GrowableUint32();

  constructor() {
    this.#starts.push(0);
  }

  get length(): number {
    return this.#starts.length - 1;
  }

  get bytes(): number {
    return this.#bytes.bytes + this.#starts.bytes;
  }

  push(bytes: Uint8Array): void {
    this.#bytes.append(bytes);
    this.#starts.push(this.#bytes.length);
  }

  isAt(place: number, bytes: Uint8Array): boolean {
    const start = this.#starts.array[place] ?? 0;
    if ((this.#starts.array[place + 1] ?? 0) - start !== bytes.length) return false;
    const own = this.#bytes.array;
    for (let at = 0; at < bytes.length; at += 1) {
      if (own[start + at] !== bytes[at]) return false;
    }
    return true;
  }

  /** Releases the memory; the list is of no use afterwards. */
  free(): void {
    this.#bytes.free();
    this.#starts.free();
  }

  /** By their bytes; equal ones by the order in which they came. */
  sorted(): Uint32Array {
    const order = new Uint32Array(this.length);
    for (let place = 0; place < order.length; place += 1) order[place] = place;
    return order.toSorted((left, right) => this.compare(left, right) || left - right);
  }

  compare(left: number, right: number): number {
    const bytes = this.#bytes.array;
    const starts = this.#starts.array;
    const leftEnd = starts[left + 1] ?? 0;
    const rightEnd = starts[right + 1] ?? 0;
    let leftAt = starts[left] ?? 0;
    let rightAt = starts[right] ?? 0;
    while (leftAt < leftEnd && rightAt < rightEnd) {
      const difference = (bytes[leftAt] ?? 0) - (bytes[rightAt] ?? 0);
      if (difference !== 0) return difference;
      leftAt += 1;
      rightAt += 1;
    }
    return leftEnd - leftAt - (rightEnd - rightAt);
  }

  /** The strings at these places, in this order. */
  toTable(places: Uint32Array): StringTableBuffers {
    const blocks = sharedUint32(Math.ceil(places.length / BLOCK));
    const bytes = new GrowableBytes();
    for (let place = 0; place < places.length; place += 1) {
      const entry = this.at(places[place] ?? 0);
      let kept = 0;
      if (place % BLOCK === 0) {
        blocks[place / BLOCK] = bytes.length;
      } else {
        kept = sharedStart(this.at(places[place - 1] ?? 0), entry);
        bytes.pushNumber(kept);
      }
      bytes.pushNumber(entry.length - kept);
      bytes.append(entry.subarray(kept));
    }
    return { length: places.length, blocks, bytes: sharedBytes(bytes.written) };
  }

  /** Valid until the next push. */
  at(place: number): Uint8Array {
    const starts = this.#starts.array;
    return this.#bytes.array.subarray(starts[place] ?? 0, starts[place + 1] ?? 0);
  }
}

function sharedStart(left: Uint8Array, right: Uint8Array): number {
  const end = Math.min(left.length, right.length);
  let at = 0;
  while (at < end && left[at] === right[at]) at += 1;
  return at;
}
