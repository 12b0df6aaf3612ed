/** The only access to random numbers: returns a number from 0 up to, not including, 1. A test uses a seeded one. */
export type Random = () => number;

/** The random numbers of the process. */
export const systemRandom: Random = Math.random;

/**
 * A repeatable sequence: the same seed gives the same numbers on every machine.
 * Algorithm: sfc32 (Chris Doty-Humphrey, PractRand), seeded with the seed and warmed up.
 * @param seed any integer; only its lower 32 bits count.
 */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

/**
 * A separate seed for each use of random numbers, so that the numbers of one use do not depend on how many
 * another has drawn, and neighboring seeds have nothing in common.
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
