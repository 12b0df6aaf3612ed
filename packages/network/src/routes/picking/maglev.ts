import { hashKey, mixHash } from '../nodes/key-hash.ts';

/** A member of a table. */
interface WeightedMember {
  readonly id: string;
  readonly weight: number;
}

/**
 * A prime. The same for every number of members, because a table of another size moves all keys: 100 slots a member for
 * up to 655 members, 13 for 5,000.
 */
export const SLOTS = 65_537;

/**
 * The table of Maglev: each slot belongs to one member, each member has slots in proportion to its weight, and a
 * member that joins or leaves moves few others.
 * Algorithm: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.
 * @param members sorted by id, so that two processes make the same table; at least one
 */
export function maglevTable(members: readonly WeightedMember[]): Uint16Array {
  const size = SLOTS;
  const table = new Uint16Array(size).fill(0xff_ff);
  const heaviest = members.reduce((most, { weight }) => Math.max(most, weight), 0);
  const next = new Int32Array(members.length);
  const skips = new Int32Array(members.length);
  const credits = new Float64Array(members.length);
  for (const [at, { id }] of members.entries()) {
    const hash = hashKey(id);
    next[at] = (hash >>> 0) % size;
    skips[at] = ((mixHash(hash ^ 0x5b_d1_e9_95) >>> 0) % (size - 1)) + 1;
  }
  for (let filled = 0; filled < size;) {
    for (const [at, { weight }] of members.entries()) {
      const credit = (credits[at] ?? 0) + weight / heaviest;
      credits[at] = credit;
      if (credit < 1) continue;
      credits[at] = credit - 1;
      const skip = skips[at] ?? 1;
      let slot = next[at] ?? 0;
      while (table[slot] !== 0xff_ff) slot = slot + skip < size ? slot + skip : slot + skip - size;
      table[slot] = at;
      next[at] = slot;
      filled += 1;
      if (filled === size) break;
    }
  }
  return table;
}
