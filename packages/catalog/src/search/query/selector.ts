import { type Filter, keepPassing, keepRange, setRange, wordsFor } from '../format/bitmap.ts';
import { lowerBound } from '../format/numbers.ts';
import type { Postings } from '../format/postings.ts';
import type { CodeRange } from '../format/sorted-column.ts';
import { withoutCase, wordsOf } from '../words.ts';
import type { Columns, KeyColumn } from './columns.ts';
import type { ParsedQuery } from './parse-query.ts';

/**
 * The rows that match, in the cheapest form: all of a price range, those of one key, or a set, which is valid until
 * the next query.
 */
export type Selection =
  | { readonly kind: 'range'; readonly total: number; readonly from: number }
  | {
      readonly kind: 'key';
      readonly total: number;
      readonly postings: Postings;
      readonly key: number;
    }
  | { readonly kind: 'set'; readonly total: number; readonly words: Uint32Array };

const NOTHING: Selection = { kind: 'range', total: 0, from: 0 };

/** Rows that have at least one of the keys from the first up to, not including, the last. */
interface AnyKey {
  readonly postings: Postings;
  readonly from: number;
  readonly to: number;
  /** The sum of the counts. */
  readonly count: number;
}

/** What a query demands; `undefined` in its place where no row can match. */
interface Conditions {
  /** Rows, by price. */
  readonly from: number;
  readonly to: number;
  readonly amounts: CodeRange;
  readonly durations: CodeRange;
  readonly keys: readonly AnyKey[];
}

/** Finds the rows that match a query. */
export class Selector {
  readonly #columns: Columns;
  readonly #words: Uint32Array;
  readonly #spare: Uint32Array;

  constructor(columns: Columns) {
    this.#columns = columns;
    this.#words = new Uint32Array(wordsFor(columns.rows));
    this.#spare = new Uint32Array(wordsFor(columns.rows));
  }

  select(query: ParsedQuery): Selection {
    const conditions = conditionsOf(this.#columns, query);
    if (conditions === undefined) return NOTHING;
    const { from, to, keys, amounts, durations } = conditions;
    const { rows, dataAmount, duration } = this.#columns;
    if (dataAmount.isAll(amounts) && duration.isAll(durations)) {
      const [only, ...others] = keys;
      if (only === undefined) return { kind: 'range', total: to - from, from };
      if (others.length === 0 && only.to - only.from === 1 && to - from === rows) {
        return { kind: 'key', total: only.count, postings: only.postings, key: only.from };
      }
    }
    return this.#intersect(conditions);
  }

  /** The same rows as a set. */
  toSet(selection: Selection): Uint32Array {
    if (selection.kind === 'set') return selection.words;
    const words = this.#words;
    if (selection.kind === 'range') {
      setRange(words, selection.from, selection.from + selection.total);
    } else {
      words.fill(0);
      selection.postings.addTo(words, selection.key);
    }
    return words;
  }

  #intersect({ from, to, keys, amounts, durations }: Conditions): Selection {
    const { dataAmount, duration } = this.#columns;
    const words = this.#words;
    const filters: Filter[] = [];
    const [rarest, ...others] = keys.toSorted((left, right) => left.count - right.count);
    if (rarest === undefined) {
      setRange(words, from, to);
    } else {
      words.fill(0);
      addAny(words, rarest);
      keepRange(words, from, to);
      for (const other of others) this.#demand(words, other, filters);
    }
    const ranges = [
      { column: dataAmount, range: amounts },
      { column: duration, range: durations },
    ].filter(({ column, range }) => !column.isAll(range));
    for (const { column, range } of ranges) filters.push(...(column.filtersOf(range) ?? []));
    let total = keepPassing(words, filters);
    for (const { column, range } of ranges) {
      if (column.filtersOf(range) === undefined) total = column.keep(words, range);
    }
    return { kind: 'set', total, words };
  }

  /** Adds a filter where the key has a bitmap; otherwise removes the rows without any of the keys at once. */
  #demand(words: Uint32Array, any: AnyKey, filters: Filter[]): void {
    const { postings, from, to } = any;
    const bitmap = to - from === 1 ? postings.bitmapOf(from) : -1;
    if (bitmap !== -1) {
      filters.push({ words: postings.bitmaps, at: bitmap, turned: 0 });
      return;
    }
    this.#spare.fill(0);
    addAny(this.#spare, any);
    keepPassing(words, [{ words: this.#spare, at: 0, turned: 0 }]);
  }
}

function addAny(words: Uint32Array, { postings, from, to }: AnyKey): void {
  for (let key = from; key < to; key += 1) postings.addTo(words, key);
}

function conditionsOf(columns: Columns, query: ParsedQuery): Conditions | undefined {
  const { price } = columns;
  const prices = price.between(query.minPrice, query.maxPrice);
  const amounts = amountsOf(columns, query);
  const durations = durationsOf(columns, query);
  if ([prices, amounts, durations].some(([from, to]) => from >= to)) return undefined;
  const keys = keysOf(columns, query);
  if (keys === undefined) return undefined;
  return { from: price.startOf(prices[0]), to: price.startOf(prices[1]), amounts, durations, keys };
}

/** Unlimited bundles are the last value, Infinity. */
export function amountsOf({ dataAmount }: Columns, query: ParsedQuery): CodeRange {
  const [from, to] = dataAmount.between(query.minDataMb, query.maxDataMb);
  if (query.unlimited === undefined) return [from, to];
  const unlimited = lowerBound(dataAmount.values, Number.POSITIVE_INFINITY);
  return query.unlimited ? [Math.max(from, unlimited), to] : [from, Math.min(to, unlimited)];
}

export function durationsOf({ duration }: Columns, query: ParsedQuery): CodeRange {
  return duration.between(query.minDurationDays, query.maxDurationDays);
}

/** `undefined` where a key is unknown, so that nothing matches. */
function keysOf(columns: Columns, query: ParsedQuery): AnyKey[] | undefined {
  const { country, region, group, roaming, words } = columns;
  const keys: AnyKey[] = [];
  const isKnown = (column: KeyColumn, [from, to]: CodeRange): boolean => {
    let count = 0;
    for (let key = from; key < to; key += 1) {
      const own = column.postings.count(key);
      // All rows have it: it demands nothing.
      if (own === columns.rows) return true;
      count += own;
    }
    keys.push({ postings: column.postings, from, to, count });
    return count > 0;
  };
  const isMet = (column: KeyColumn, key: string | undefined): boolean => {
    if (key === undefined) return true;
    const place = column.keys.find(key);
    return place !== -1 && isKnown(column, [place, place + 1]);
  };
  const ofText = [...new Set(wordsOf(query.text ?? ''))];
  const areMet =
    isMet(country, query.country && withoutCase(query.country)) &&
    isMet(region, query.region && withoutCase(query.region)) &&
    isMet(group, query.group) &&
    isMet(roaming, query.roaming && withoutCase(query.roaming)) &&
    ofText.every((word) => isKnown(words, words.keys.withPrefix(word)));
  return areMet ? keys : undefined;
}
