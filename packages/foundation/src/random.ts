/** The only door to chance: a number from 0 up to, not including, 1. A test brings a seeded one. */
export type Random = () => number;

/** The process's own chance. */
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
