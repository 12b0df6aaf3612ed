import type { Facet, FacetCount } from '../../catalog.ts';
import { visitRows } from '../format/bitmap.ts';
import { lowerBound } from '../format/numbers.ts';
import type { AttributeColumn, Columns } from './columns.ts';

/** A facet has so many values at most: those with the highest counts. */
const MAX_VALUES = 1_000;

/** @param words the rows to count; `undefined` for all. */
export function facetCounts(
  columns: Columns,
  facet: Facet,
  words: Uint32Array | undefined,
): readonly FacetCount[] {
  if (facet === 'unlimited') return countUnlimited(columns, words);
  const column = columns[facet];
  const counts = words === undefined ? countAll(column) : countKeys(column, words);
  const keys: number[] = [];
  for (let key = 0; key < counts.length; key += 1) if ((counts[key] ?? 0) > 0) keys.push(key);
  // The keys are sorted, and so are those of one count.
  return keys
    .toSorted((left, right) => (counts[right] ?? 0) - (counts[left] ?? 0))
    .slice(0, MAX_VALUES)
    .map((key) => ({ value: column.labels.get(key), count: counts[key] ?? 0 }));
}

function countAll({ keys, postings }: AttributeColumn): Uint32Array {
  const counts = new Uint32Array(keys.length);
  for (let key = 0; key < counts.length; key += 1) counts[key] = postings.count(key);
  return counts;
}

/** Counts the lists first, of which there are far fewer than rows. */
function countKeys({ keys, lists }: AttributeColumn, words: Uint32Array): Uint32Array {
  const { codes, starts } = lists;
  const ofLists = new Uint32Array(starts.length);
  visitRows(words, (row) => {
    const code = codes[row] ?? 0;
    ofLists[code] = (ofLists[code] ?? 0) + 1;
  });
  const counts = new Uint32Array(keys.length);
  for (let code = 0; code < starts.length - 1; code += 1) {
    const count = ofLists[code] ?? 0;
    if (count === 0) continue;
    for (let at = starts[code] ?? 0; at < (starts[code + 1] ?? 0); at += 1) {
      const key = lists.keys[at] ?? 0;
      counts[key] = (counts[key] ?? 0) + count;
    }
  }
  return counts;
}

function countUnlimited({ dataAmount, rows }: Columns, words?: Uint32Array): FacetCount[] {
  const firstUnlimited = lowerBound(dataAmount.values, Number.POSITIVE_INFINITY);
  let limited = 0;
  let total = rows;
  if (words === undefined) {
    limited = dataAmount.startOf(firstUnlimited);
  } else {
    total = 0;
    visitRows(words, (row) => {
      total += 1;
      if ((dataAmount.codes[row] ?? 0) < firstUnlimited) limited += 1;
    });
  }
  return [
    { value: 'false', count: limited },
    { value: 'true', count: total - limited },
  ]
    .filter(({ count }) => count > 0)
    .toSorted((left, right) => right.count - left.count);
}
