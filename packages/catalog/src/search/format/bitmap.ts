/** Sets of rows, a bit each, in words of 32. */

export function wordsFor(rows: number): number {
  return (rows + 31) >>> 5;
}

/** Exactly the rows from `from` up to, not including, `to`. */
export function setRange(words: Uint32Array, from: number, to: number): void {
  words.fill(0);
  if (from >= to) return;
  const first = from >>> 5;
  const last = (to - 1) >>> 5;
  words.fill(0xffff_ffff, first, last + 1);
  keepRange(words, from, to);
}

/** Removes the rows before `from` and those from `to` on. */
export function keepRange(words: Uint32Array, from: number, to: number): void {
  if (from >= to) {
    words.fill(0);
    return;
  }
  const first = from >>> 5;
  const last = (to - 1) >>> 5;
  words.fill(0, 0, first);
  words.fill(0, last + 1);
  words[first] = (words[first] ?? 0) & (0xffff_ffff << (from & 31));
  words[last] = (words[last] ?? 0) & (0xffff_ffff >>> (31 - ((to - 1) & 31)));
}

/** A set in a larger array that rows have to be in, or not to be in. */
export interface Filter {
  readonly words: Uint32Array;
  /** Where the set begins in `words`. */
  readonly at: number;
  /** The bits that are turned first: none, or all where its rows are unwanted. */
  readonly turned: 0 | -1;
}

/** Removes the rows that do not pass all filters; returns how many are left. */
export function keepPassing(words: Uint32Array, filters: readonly Filter[]): number {
  let rows = 0;
  for (let word = 0; word < words.length; word += 1) {
    let bits = words[word] ?? 0;
    if (bits === 0) continue;
    for (let each = 0; each < filters.length; each += 1) {
      const filter = filters[each];
      if (filter !== undefined) bits &= (filter.words[filter.at + word] ?? 0) ^ filter.turned;
    }
    words[word] = bits;
    rows += countBits(bits);
  }
  return rows;
}

/** @param at where the other set begins in `other`. */
export function addAll(words: Uint32Array, other: Uint32Array, at: number): void {
  for (let word = 0; word < words.length; word += 1) {
    words[word] = (words[word] ?? 0) | (other[at + word] ?? 0);
  }
}

export function isIn(words: Uint32Array, row: number): boolean {
  return (((words[row >>> 5] ?? 0) >>> (row & 31)) & 1) === 1;
}

/** Calls `visit` with each row, ascending. */
export function visitRows(words: Uint32Array, visit: (row: number) => void): void {
  for (let word = 0; word < words.length; word += 1) {
    for (let bits = words[word] ?? 0; bits !== 0; bits &= bits - 1) {
      visit(word * 32 + lowestBit(bits));
    }
  }
}

/** Of the rows from `start` on, ascending: those at the places from `offset` up to, not including, `end`. */
export function sliceRows(
  words: Uint32Array,
  offset: number,
  end: number,
  start: number = 0,
): number[] {
  const rows: number[] = [];
  let place = 0;
  for (let word = start >>> 5; word < words.length && place < end; word += 1) {
    let bits = words[word] ?? 0;
    if (word === start >>> 5) bits &= 0xffff_ffff << (start & 31);
    const count = countBits(bits);
    if (place + count > offset) {
      for (let at = place; bits !== 0 && at < end; at += 1) {
        if (at >= offset) rows.push(word * 32 + lowestBit(bits));
        bits &= bits - 1;
      }
    }
    place += count;
  }
  return rows;
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** The highest row that is in the set and lower than `before`, or -1. */
export function lastBefore(words: Uint32Array, before: number): number {
  if (before <= 0) return -1;
  let word = (before - 1) >>> 5;
  let bits = (words[word] ?? 0) & (0xffff_ffff >>> (31 - ((before - 1) & 31)));
  while (bits === 0) {
    if (word === 0) return -1;
    word -= 1;
    bits = words[word] ?? 0;
  }
  return word * 32 + 31 - Math.clz32(bits);
}

/** How many rows from `from` up to, not including, `to` are in the set. */
export function countBetween(words: Uint32Array, from: number, to: number): number {
  let rows = 0;
  for (let word = from >>> 5; word * 32 < to; word += 1) {
    let bits = words[word] ?? 0;
    if (word === from >>> 5) bits &= 0xffff_ffff << (from & 31);
    if (word === (to - 1) >>> 5) bits &= 0xffff_ffff >>> (31 - ((to - 1) & 31));
    rows += countBits(bits);
  }
  return rows;
}

/** The ones among 32 bits: sums of neighbors, pairwise (Knuth, The Art of Computer Programming, 7.1.3). */
function countBits(bits: number): number {
  let sums = bits - ((bits >>> 1) & 0x5555_5555);
  sums = (sums & 0x3333_3333) + ((sums >>> 2) & 0x3333_3333);
  sums = (sums + (sums >>> 4)) & 0x0f0f_0f0f;
  return Math.imul(sums, 0x0101_0101) >>> 24;
}
