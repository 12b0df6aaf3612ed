import type { SortKey } from '../../catalog.ts';
import { countBetween, isIn, lastBefore, sliceRows, visitRows } from '../format/bitmap.ts';
import type { Columns } from './columns.ts';
import type { ParsedQuery } from './parse-query.ts';
import { type Selection, type Selector, amountsOf, durationsOf } from './selector.ts';

/** Sorting a row costs as much as so many steps through an order that exists. */
const SORT_COST = 8;

/** The rows from `offset` on, up to `limit`, in the order that the query wants. */
export function pageOf(
  columns: Columns,
  selector: Selector,
  selection: Selection,
  query: ParsedQuery,
): readonly number[] {
  const { sort, direction, offset, limit } = query;
  if (offset >= selection.total || limit === 0) return [];
  const end = Math.min(selection.total, offset + limit);
  const isDescending = direction === 'descending';
  if (sort === 'price' && !isDescending) return cheapest(selection, offset, end);
  const words = selector.toSet(selection);
  if (sort === 'price') return dearest(columns, words, selection.total, [offset, end]);
  const steps = (end / selection.total) * columns.rows;
  if (selection.total * SORT_COST < steps) {
    const rows: number[] = [];
    visitRows(words, (row) => {
      rows.push(row);
    });
    return rows.toSorted(comparison(columns, sort, isDescending)).slice(offset, end);
  }
  return walk(columns, words, query, end);
}

function cheapest(selection: Selection, offset: number, end: number): readonly number[] {
  if (selection.kind === 'key') return selection.postings.slice(selection.key, offset, end);
  if (selection.kind === 'set') return sliceRows(selection.words, offset, end);
  return Array.from({ length: end - offset }, (_, at) => selection.from + offset + at);
}

/** From the highest price down; rows of one price stay in the order of their names. */
function dearest(
  { price, rows }: Columns,
  words: Uint32Array,
  total: number,
  [offset, end]: readonly [number, number],
): number[] {
  const page: number[] = [];
  const [first = 0] = sliceRows(words, total - 1 - offset, total - offset);
  let runEnd = price.startOf(price.codeAt(first) + 1);
  let place = countBetween(words, runEnd, rows);
  while (place < end) {
    const last = lastBefore(words, runEnd);
    if (last === -1) break;
    const runStart = price.startOf(price.codeAt(last));
    const size = countBetween(words, runStart, runEnd);
    const from = Math.max(0, offset - place);
    page.push(...sliceRows(words, from, Math.min(size, end - place), runStart));
    place += size;
    runEnd = runStart;
  }
  return page;
}

function comparison(
  { dataAmount, duration, nameRanks }: Columns,
  sort: SortKey,
  isDescending: boolean,
): (left: number, right: number) => number {
  const sign = isDescending ? -1 : 1;
  const byName = (left: number, right: number): number =>
    (nameRanks[left] ?? 0) - (nameRanks[right] ?? 0);
  if (sort === 'name') return (left, right) => sign * byName(left, right);
  const { codes } = sort === 'duration' ? duration : dataAmount;
  return (left, right) => sign * ((codes[left] ?? 0) - (codes[right] ?? 0)) || byName(left, right);
}

/** Goes through the rows in the order wanted, and takes those of the set. */
function walk(
  columns: Columns,
  words: Uint32Array,
  query: ParsedQuery,
  end: number,
): readonly number[] {
  const { sort, offset } = query;
  const isDescending = query.direction === 'descending';
  const page: number[] = [];
  let place = 0;
  const visit = (row: number): boolean => {
    if (place >= offset) page.push(row);
    place += 1;
    return place < end;
  };
  if (sort === 'name') {
    visitByName(columns, words, isDescending, visit);
  } else if (sort === 'duration') {
    const durations = durationsOf(columns, query);
    columns.duration.visitInOrder(words, durations, isDescending, visit);
  } else {
    columns.dataAmount.visitInOrder(words, amountsOf(columns, query), isDescending, visit);
  }
  return page;
}

function visitByName(
  { nameOrder, rows }: Columns,
  words: Uint32Array,
  isDescending: boolean,
  visit: (row: number) => boolean,
): void {
  for (let at = 0; at < rows; at += 1) {
    const row = nameOrder[isDescending ? rows - 1 - at : at] ?? 0;
    if (isIn(words, row) && !visit(row)) return;
  }
}
