import { type Filter, isIn, visitRows, wordsFor } from './bitmap.ts';
import type { RunBuffers, SortedColumnBuffers } from './index-buffers.ts';
import { type Codes, lowerBound } from './numbers.ts';

/** Places of values, from the first up to, not including, the second. */
export type CodeRange = readonly [from: number, to: number];

/** The distinct values of a sorted column and where the run of each begins. */
export class Runs {
  readonly values: Float64Array;
  readonly starts: Uint32Array;

  constructor({ values, starts }: RunBuffers) {
    this.values = values;
    this.starts = starts;
  }

  /** The values from `min` to `max`, both included. */
  between(min: number | undefined, max: number | undefined): CodeRange {
    return [
      min === undefined ? 0 : lowerBound(this.values, min),
      max === undefined ? this.values.length : lowerBound(this.values, max, true),
    ];
  }

  isAll([from, to]: CodeRange): boolean {
    return from === 0 && to === this.values.length;
  }

  /** The run that a place belongs to. */
  codeAt(place: number): number {
    return lowerBound(this.starts, place, true) - 1;
  }

  startOf(code: number): number {
    return this.starts[code] ?? 0;
  }
}

/** A column that rows can be sorted by. */
export class SortedColumn extends Runs {
  readonly codes: Codes;
  readonly order: Uint32Array;
  readonly #upTo: Uint32Array;

  constructor(buffers: SortedColumnBuffers) {
    super(buffers);
    this.codes = buffers.codes;
    this.order = buffers.order;
    this.#upTo = buffers.upTo;
  }

  valueAt(row: number): number {
    return this.values[this.codes[row] ?? 0] ?? 0;
  }

  /** Filters that pass exactly the rows of the range; `undefined` where the values are too many for bitmaps. */
  filtersOf([from, to]: CodeRange): readonly Filter[] | undefined {
    const words = this.#upTo;
    if (words.length === 0) return undefined;
    const size = wordsFor(this.codes.length);
    const filters: Filter[] = [];
    if (to < this.values.length) filters.push({ words, at: (to - 1) * size, turned: 0 });
    if (from > 0) filters.push({ words, at: (from - 1) * size, turned: -1 });
    return filters;
  }

  /** Removes the rows whose value is not in the range from a set; returns how many are left. */
  keep(words: Uint32Array, [from, to]: CodeRange): number {
    let rows = 0;
    visitRows(words, (row) => {
      const value = this.codes[row] ?? 0;
      if (value >= from && value < to) rows += 1;
      else words[row >>> 5] = (words[row >>> 5] ?? 0) & ~(1 << (row & 31));
    });
    return rows;
  }

  /**
   * Calls `visit` with the rows of a set whose values are in the range, in the order of this column, until it returns
   * `false`.
   */
  visitInOrder(
    words: Uint32Array,
    [from, to]: CodeRange,
    isDescending: boolean,
    visit: (row: number) => boolean,
  ): void {
    if (!isDescending) {
      this.#visitPlaces(words, this.startOf(from), this.startOf(to), visit);
      return;
    }
    // Equal ones stay in the order of their names.
    for (let run = to - 1; run >= from; run -= 1) {
      if (!this.#visitPlaces(words, this.startOf(run), this.startOf(run + 1), visit)) return;
    }
  }

  #visitPlaces(
    words: Uint32Array,
    from: number,
    to: number,
    visit: (row: number) => boolean,
  ): boolean {
    for (let at = from; at < to; at += 1) {
      const row = this.order[at] ?? 0;
      if (isIn(words, row) && !visit(row)) return false;
    }
    return true;
  }
}
