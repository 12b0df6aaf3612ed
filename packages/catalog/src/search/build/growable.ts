interface NumberArray {
  [place: number]: number;
  readonly length: number;
  readonly buffer: ArrayBufferLike;
  readonly BYTES_PER_ELEMENT: number;
}

/** Memory grows by a quarter: what is not used yet takes memory all the same. */
const GROWTH = 1.25;

/** Numbers of one kind, whose memory grows where it is full. */
class Growable<T extends NumberArray> {
  readonly #open: (buffer: ArrayBuffer) => T;
  #items: NumberArray;
  #buffer: ArrayBuffer;
  /** Longer than what it contains. Not valid after the next push. */
  array: T;
  length = 0;

  constructor(open: (buffer: ArrayBuffer) => T) {
    this.#open = open;
    this.#buffer = new ArrayBuffer(8_192);
    this.array = open(this.#buffer);
    this.#items = this.array;
  }

  get bytes(): number {
    return this.#buffer.byteLength;
  }

  push(value: number): void {
    if (this.length === this.#items.length) this.reserve(1);
    this.#items[this.length] = value;
    this.length += 1;
  }

  /** Releases the memory at once; it is of no use afterwards. */
  free(): void {
    this.#buffer = this.#buffer.transfer(0);
    this.array = this.#open(this.#buffer);
    this.#items = this.array;
    this.length = 0;
  }

  /** Makes place for so many more. */
  reserve(count: number): void {
    const needed = (this.length + count) * this.#items.BYTES_PER_ELEMENT;
    if (needed <= this.#buffer.byteLength) return;
    const grown = Math.max(needed, Math.ceil(this.#buffer.byteLength * GROWTH));
    // The old memory is released here, not when the garbage collector finds it.
    this.#buffer = this.#buffer.transfer(Math.ceil(grown / 8) * 8);
    this.array = this.#open(this.#buffer);
    this.#items = this.array;
  }
}

export class GrowableUint32 extends Growable<Uint32Array> {
  constructor() {
    super((buffer) => new Uint32Array(buffer));
  }
}

export class GrowableFloat64 extends Growable<Float64Array> {
  constructor() {
    super((buffer) => new Float64Array(buffer));
  }
}

export class GrowableBytes extends Growable<Uint8Array> {
  constructor() {
    super((buffer) => new Uint8Array(buffer));
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.array.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** See `NumberReader`. */
  pushNumber(value: number): void {
    let left = value;
    for (; left >= 0x80; left >>>= 7) this.push((left & 0x7f) | 0x80);
    this.push(left);
  }

  /** What was written so far. */
  get written(): Uint8Array {
    return this.array.subarray(0, this.length);
  }
}

/** How many bytes `GrowableBytes.pushNumber` writes. */
export function sizeOfNumber(value: number): number {
  let size = 1;
  for (let left = value; left >= 0x80; left >>>= 7) size += 1;
  return size;
}
