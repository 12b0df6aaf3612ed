/**
 * A seed of its own for each place where chance is needed, so that what is drawn in one place does not
 * depend on how much was drawn in another, and neighbouring seeds have nothing in common.
 * Mixing: the finalizer of MurmurHash3 (Austin Appleby), once for the seed and once for each part.
 * @param parts whole numbers; only their lower 32 bits count.
 */
export function derivedSeed(seed: number, ...parts: readonly number[]): number {
  let mixed = finalized(seed | 0);
  for (const part of parts) mixed = finalized(mixed ^ (part | 0));
  return mixed >>> 0;
}

function finalized(bits: number): number {
  let mixed = Math.imul(bits, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
