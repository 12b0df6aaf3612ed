import { timingSafeEqual } from 'node:crypto';

/** Compares two strings of equal length in constant time. */
export function isEqualInConstantTime(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
