/** Looked up once: a global is slow to reach for code in a context of its own. */
const { imul } = Math;

/**
 * A hash of 32 bits with a sign, the same in every process and on every machine. Numbers of 31 bits and a sign are passed
 * on without being allocated; `>>> 0` where it is used gives the positive one.
 * Algorithm: FNV-1a over UTF-16 code units, then the finalizer of MurmurHash3.
 */
export function hashKey(key: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let at = 0; at < key.length; at += 1) {
    hash = imul(hash ^ key.charCodeAt(at), 0x01_00_01_93);
  }
  return mixHash(hash);
}

/** Spreads a change of any bit over all bits. */
export function mixHash(bits: number): number {
  let mixed = bits;
  mixed = imul(mixed ^ (mixed >>> 16), 0x85_eb_ca_6b);
  mixed = imul(mixed ^ (mixed >>> 13), 0xc2_b2_ae_35);
  return mixed ^ (mixed >>> 16);
}

/** A number from 0 up to, not including, 1 that belongs to a key; `use` separates what it decides. */
export function fractionOf(hash: number, use: number): number {
  return (mixHash(hash ^ use) >>> 0) / 4_294_967_296;
}
