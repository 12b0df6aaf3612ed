import type { Bundle } from '../../catalog.ts';

/** The numbers of a row in {@link PageDigest.identities}. */
export const IDENTITY_WORDS = 3;

/** The third number for a row without a name. */
export const NAMELESS = 0;

/**
 * Writes the identity of a row: 64 bits of its name, and 32 bits of what is sold under it, never 0.
 * Mixing: the multiplications of MurmurHash3 (Austin Appleby) over UTF-16 units.
 */
export function writeIdentity(to: Uint32Array, row: number, bundle: Bundle): void {
  const at = row * IDENTITY_WORDS;
  const { name } = bundle;
  to[at] = hashText(0x9e3779b9, name);
  to[at + 1] = hashText(0x85ebca6b, name);
  to[at + 2] = contentOf(bundle) || 1;
}

function contentOf({
  price,
  duration,
  dataAmount,
  unlimited,
  countries,
  description,
}: Bundle): number {
  let hash = hashText(unlimited ? 1 : 2, description ?? '');
  hash = mix(mix(mix(hash, Math.round(price * 10_000)), duration), dataAmount);
  for (const { iso } of countries) hash = hashText(hash, iso);
  return hash >>> 0;
}

function hashText(seed: number, text: string): number {
  let hash = seed | 0;
  for (let at = 0; at < text.length; at += 1) hash = mix(hash, text.charCodeAt(at));
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ Math.imul(word | 0, 0xcc9e2d51), 0x1b873593);
  return (mixed << 13) | (mixed >>> 19);
}

/** The names of one group, 16 bytes for each: a set by open addressing in typed arrays. */
export class NameTable {
  /** For each slot: two numbers of the name, one of the content, and the page plus 1. */
  #slots: Uint32Array = new Uint32Array(4 * 1_024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(identities: Uint32Array, row: number): boolean {
    const at = row * IDENTITY_WORDS;
    const slot = this.#find(identities[at] ?? 0, identities[at + 1] ?? 0);
    return identities[at + 2] !== NAMELESS && this.#slots[slot + 3] !== 0;
  }

  /** Adds a name, or returns the page and content under which it was added before. */
  add(
    identities: Uint32Array,
    row: number,
    page: number,
  ): { page: number; content: number } | undefined {
    const at = row * IDENTITY_WORDS;
    const high = identities[at] ?? 0;
    const low = identities[at + 1] ?? 0;
    if ((this.#size + 1) * 8 > this.#slots.length) this.#grow();
    const slot = this.#find(high, low);
    const known = this.#slots[slot + 3] ?? 0;
    if (known !== 0) return { page: known - 1, content: this.#slots[slot + 2] ?? 0 };
    this.#slots[slot] = high;
    this.#slots[slot + 1] = low;
    this.#slots[slot + 2] = identities[at + 2] ?? 0;
    this.#slots[slot + 3] = page + 1;
    this.#size += 1;
    return undefined;
  }

  /** The slot of the name, or the free one where it belongs. */
  #find(high: number, low: number): number {
    const slots = this.#slots;
    const mask = slots.length / 4 - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      const slot = at * 4;
      if (slots[slot + 3] === 0) return slot;
      if (slots[slot] === high && slots[slot + 1] === low) return slot;
    }
  }

  #grow(): void {
    const former = this.#slots;
    this.#slots = new Uint32Array(former.length * 2);
    for (let slot = 0; slot < former.length; slot += 4) {
      if (former[slot + 3] === 0) continue;
      const to = this.#find(former[slot] ?? 0, former[slot + 1] ?? 0);
      this.#slots.set(former.subarray(slot, slot + 4), to);
    }
  }
}
