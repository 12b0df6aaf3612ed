import { wordsFor } from '../format/bitmap.ts';
import type { RunBuffers, SortedColumnBuffers } from '../format/index-buffers.ts';
import {
  type Codes,
  lowerBound,
  sharedCodes,
  sharedFloat64,
  sharedUint32,
} from '../format/numbers.ts';

/** With so many distinct values at most, a range is answered from bitmaps, which take an eighth of a byte a row each. */
const MAX_BITMAPS = 48;

/** The distinct values, ascending, in shared memory. */
export function distinctValues(values: Float64Array): Float64Array {
  const sorted = values.toSorted();
  let count = 0;
  for (let at = 0; at < sorted.length; at += 1) {
    // -0 and 0 are one value.
    if (at > 0 && sorted[at] === sorted[count - 1]) continue;
    sorted[count] = sorted[at] ?? 0;
    count += 1;
  }
  const distinct = sharedFloat64(count);
  distinct.set(sorted.subarray(0, count));
  return distinct;
}

/** By place, the code of its value. */
export function codesOf(values: Float64Array, distinct: Float64Array): Codes {
  const codes = sharedCodes(values.length, distinct.length);
  for (let at = 0; at < values.length; at += 1) codes[at] = lowerBound(distinct, values[at] ?? 0);
  return codes;
}

/**
 * Sorts by value; equal values stay in the order in which they are.
 * @param order takes the places in the order of their values.
 */
export function sortRuns(values: Float64Array, order: Uint32Array): RunBuffers {
  const distinct = distinctValues(values);
  const codes = codesOf(values, distinct);
  const starts = sharedUint32(distinct.length + 1);
  for (const code of codes) starts[code + 1] = (starts[code + 1] ?? 0) + 1;
  for (let code = 0; code < distinct.length; code += 1) {
    starts[code + 1] = (starts[code + 1] ?? 0) + (starts[code] ?? 0);
  }
  const next = new Uint32Array(starts);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    order[next[code] ?? 0] = at;
    next[code] = (next[code] ?? 0) + 1;
  }
  return { values: distinct, starts };
}

/**
 * @param valuesByName in the order of the names.
 * @param nameOrder the rows in that order.
 */
export function sortedColumn(
  valuesByName: Float64Array,
  nameOrder: Uint32Array,
): SortedColumnBuffers {
  const rows = nameOrder.length;
  const order = sharedUint32(rows);
  const runs = sortRuns(valuesByName, order);
  const codes = sharedCodes(rows, runs.values.length);
  for (let code = 0; code < runs.values.length; code += 1) {
    for (let at = runs.starts[code] ?? 0; at < (runs.starts[code + 1] ?? 0); at += 1) {
      const row = nameOrder[order[at] ?? 0] ?? 0;
      order[at] = row;
      codes[row] = code;
    }
  }
  return { ...runs, codes, order, upTo: bitmapsUpTo(runs.values.length, codes) };
}

function bitmapsUpTo(values: number, codes: Codes): Uint32Array {
  if (values > MAX_BITMAPS) return sharedUint32(0);
  const words = wordsFor(codes.length);
  const upTo = sharedUint32(Math.max(0, values - 1) * words);
  for (let row = 0; row < codes.length; row += 1) {
    const word = (codes[row] ?? 0) * words + (row >>> 5);
    if (word < upTo.length) upTo[word] = (upTo[word] ?? 0) | (1 << (row & 31));
  }
  for (let word = words; word < upTo.length; word += 1) {
    upTo[word] = (upTo[word] ?? 0) | (upTo[word - words] ?? 0);
  }
  return upTo;
}
