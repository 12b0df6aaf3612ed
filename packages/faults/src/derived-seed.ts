/**
 * A seed of its own for each place where chance is needed, so that what is drawn in one place does not
 * depend on how much was drawn in another.
 * Mixing: the finalizer of MurmurHash3 (Austin Appleby), once for each part.
 * @param parts whole numbers; only their lower 32 bits count.
 */
export function derivedSeed(seed: number, ...parts: readonly number[]): number {
  let mixed = seed | 0;
  for (const part of parts) {
    mixed = Math.imul(mixed ^ (part | 0), 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    mixed ^= mixed >>> 16;
  }
  return mixed >>> 0;
}
