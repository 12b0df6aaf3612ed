import { flattened } from './holding.ts';
import { Ghost } from './ghost.ts';
import { hashOf } from './hash.ts';

interface S3FifoLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** Why an entry left: for want of space, or because its time was over. */
export type EvictionReason = 'space' | 'expired';

/** No slot. */
export const NONE = -1;
/** Its share of the limits: new keys prove there that they are asked for again. */
const SMALL_SHARE = 0.1;
const MAX_USES = 3;
/** Uses in the small queue that bring a key into the main one. */
const USES_TO_STAY = 2;
const FIRST_SLOTS = 64;
const GROWTH = 1.25;

/** A queue of slots: entries come in at the head and leave at the tail. */
interface Queue {
  head: number;
  tail: number;
  count: number;
  bytes: number;
}

/**
 * Entries within a bound of bytes and of number.
 * Algorithm: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023). A new key enters
 * the small queue. At its tail it moves on to the main queue if it was used there, else it is evicted, and its
 * fingerprint goes to the ghost; a key that comes back while its fingerprint is there enters the main queue at once.
 * At the tail of the main queue a used entry goes back to the head, with one use less.
 *
 *   new key ──▶ small ──used──▶ main ◀─┐
 *                 │              │  └──┘ used
 *               unused         unused
 *                 ▼              ▼
 *               ghost ─again▶   gone
 *
 * An entry is a slot: a row across the arrays. A hit reads the index and writes one byte.
 * @typeParam V the values, as they are held
 */
export class S3Fifo<V> {
  readonly #limits: S3FifoLimits;
  readonly #onEvicted: (key: string, reason: EvictionReason) => void;
  readonly #index = new Map<string, number>();
  readonly #ghost = new Ghost();
  readonly #small: Queue = emptyQueue();
  readonly #main: Queue = emptyQueue();
  #keys: string[] = [];
  // oxlint-disable-next-line typescript/no-explicit-any -- V where there is an entry, else undefined
  #values: any[] = [];
  #bytes = new Uint32Array(FIRST_SLOTS);
  #expiresAtMs = new Float64Array(FIRST_SLOTS);
  #uses = new Uint8Array(FIRST_SLOTS);
  #inMain = new Uint8Array(FIRST_SLOTS);
  #older = new Int32Array(FIRST_SLOTS);
  #newer = new Int32Array(FIRST_SLOTS);
  /** The first free slot; the next one is in `#newer`. */
  #free = NONE;
  #slots = 0;

  constructor(limits: S3FifoLimits, onEvicted: (key: string, reason: EvictionReason) => void) {
    this.#limits = limits;
    this.#onEvicted = onEvicted;
  }

  get size(): number {
    return this.#index.size;
  }

  get bytes(): number {
    return this.#small.bytes + this.#main.bytes;
  }

  /** The slot of a key that has not expired. */
  find(key: string, nowMs: number): number {
    const slot = this.#index.get(key);
    if (slot === undefined) return NONE;
    if ((this.#expiresAtMs[slot] ?? 0) > nowMs) return slot;
    this.#evict(slot, 'expired');
    return NONE;
  }

  /** Counts a use of the entry. */
  use(slot: number): void {
    const uses = this.#uses[slot] ?? 0;
    if (uses < MAX_USES) this.#uses[slot] = uses + 1;
  }

  /** @param slot a slot that `find` returned */
  valueAt(slot: number): V {
    return this.#values[slot];
  }

  expiresAtMs(slot: number): number {
    return this.#expiresAtMs[slot] ?? 0;
  }

  keys(): string[] {
    return [...this.#index.keys()];
  }

  /** Within the limits when it returns. One entry alone must fit. */
  set(key: string, value: V, bytes: number, expiresAtMs: number, nowMs: number): void {
    const known = this.#index.get(key);
    const slot = known ?? this.#insert(flattened(key), bytes);
    if (known !== undefined) {
      this.#queueOf(slot).bytes += bytes - (this.#bytes[slot] ?? 0);
      this.#bytes[slot] = bytes;
    }
    this.#values[slot] = value;
    this.#expiresAtMs[slot] = expiresAtMs;
    this.#makeRoom(nowMs);
  }

  delete(key: string): boolean {
    const slot = this.#index.get(key);
    if (slot === undefined) return false;
    this.#remove(slot);
    return true;
  }

  clear(): void {
    this.#index.clear();
    this.#ghost.clear();
    Object.assign(this.#small, emptyQueue());
    Object.assign(this.#main, emptyQueue());
    this.#keys = [];
    this.#values = [];
    this.#free = NONE;
    this.#slots = 0;
    this.#resize(FIRST_SLOTS);
  }

  #insert(key: string, bytes: number): number {
    const slot = this.#takeSlot();
    this.#index.set(key, slot);
    this.#keys[slot] = key;
    this.#bytes[slot] = bytes;
    this.#uses[slot] = 0;
    const isBack = this.#ghost.take(hashOf(key), this.#remembered());
    this.#append(slot, isBack ? this.#main : this.#small);
    return slot;
  }

  #takeSlot(): number {
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.#newer[free] ?? NONE;
      return free;
    }
    if (this.#slots === this.#bytes.length) this.#resize(Math.ceil(this.#slots * GROWTH));
    this.#slots += 1;
    return this.#slots - 1;
  }

  #resize(slots: number): void {
    const kept = this.#slots;
    this.#bytes = moved(this.#bytes, new Uint32Array(slots), kept);
    this.#expiresAtMs = moved(this.#expiresAtMs, new Float64Array(slots), kept);
    this.#uses = moved(this.#uses, new Uint8Array(slots), kept);
    this.#inMain = moved(this.#inMain, new Uint8Array(slots), kept);
    this.#older = moved(this.#older, new Int32Array(slots), kept);
    this.#newer = moved(this.#newer, new Int32Array(slots), kept);
  }

  /** As many fingerprints as there are entries. */
  #remembered(): number {
    return Math.max(FIRST_SLOTS, this.#index.size);
  }

  #makeRoom(nowMs: number): void {
    const { maxBytes, maxEntries } = this.#limits;
    const small = this.#small;
    while (this.bytes > maxBytes || this.#index.size > maxEntries) {
      // Never the one entry there alone: it may be the one that is being set.
      const isSmallFull =
        small.count > 1 &&
        (small.bytes > maxBytes * SMALL_SHARE || small.count > maxEntries * SMALL_SHARE);
      if (isSmallFull || this.#main.count === 0) this.#leaveSmall(nowMs);
      else this.#leaveMain(nowMs);
    }
  }

  #leaveSmall(nowMs: number): void {
    const slot = this.#small.tail;
    if (this.#isOver(slot, nowMs)) {
      this.#evict(slot, 'expired');
    } else if ((this.#uses[slot] ?? 0) >= USES_TO_STAY) {
      this.#unlink(slot);
      this.#uses[slot] = 0;
      this.#append(slot, this.#main);
    } else {
      this.#ghost.add(hashOf(this.#keys[slot] ?? ''), this.#remembered());
      this.#evict(slot, 'space');
    }
  }

  #leaveMain(nowMs: number): void {
    const slot = this.#main.tail;
    const uses = this.#uses[slot] ?? 0;
    if (this.#isOver(slot, nowMs)) {
      this.#evict(slot, 'expired');
    } else if (uses > 0) {
      this.#unlink(slot);
      this.#uses[slot] = uses - 1;
      this.#append(slot, this.#main);
    } else {
      this.#evict(slot, 'space');
    }
  }

  #isOver(slot: number, nowMs: number): boolean {
    return (this.#expiresAtMs[slot] ?? 0) <= nowMs;
  }

  #evict(slot: number, reason: EvictionReason): void {
    const key = this.#keys[slot] ?? '';
    this.#remove(slot);
    this.#onEvicted(key, reason);
  }

  #remove(slot: number): void {
    this.#unlink(slot);
    this.#index.delete(this.#keys[slot] ?? '');
    this.#keys[slot] = '';
    this.#values[slot] = undefined;
    this.#newer[slot] = this.#free;
    this.#free = slot;
  }

  #queueOf(slot: number): Queue {
    return this.#inMain[slot] === 1 ? this.#main : this.#small;
  }

  #append(slot: number, queue: Queue): void {
    this.#inMain[slot] = queue === this.#main ? 1 : 0;
    this.#older[slot] = queue.head;
    this.#newer[slot] = NONE;
    if (queue.head === NONE) queue.tail = slot;
    else this.#newer[queue.head] = slot;
    queue.head = slot;
    queue.count += 1;
    queue.bytes += this.#bytes[slot] ?? 0;
  }

  #unlink(slot: number): void {
    const queue = this.#queueOf(slot);
    const older = this.#older[slot] ?? NONE;
    const newer = this.#newer[slot] ?? NONE;
    if (older === NONE) queue.tail = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) queue.head = older;
    else this.#older[newer] = older;
    queue.count -= 1;
    queue.bytes -= this.#bytes[slot] ?? 0;
  }
}

function emptyQueue(): Queue {
  return { head: NONE, tail: NONE, count: 0, bytes: 0 };
}

function moved<Rows extends Uint32Array | Float64Array | Uint8Array | Int32Array>(
  from: Rows,
  to: Rows,
  kept: number,
): Rows {
  to.set(from.subarray(0, kept));
  return to;
}
