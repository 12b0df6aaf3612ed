import { derivedSeed } from '@holdfast/foundation';

/** A 32-bit hash that is the same in every process. Algorithm: FNV-1a (Fowler, Noll, Vo), finalized. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return derivedSeed(hash);
}
