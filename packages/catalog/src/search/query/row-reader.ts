import type { BundleRow } from '../../catalog.ts';
import type { AttributeColumn, Columns } from './columns.ts';

/** So many lists are kept as arrays of strings; most bundles share these. */
const MAX_KEPT = 4_096;
const MAX_KEPT_LENGTH = 512;

/** Lists of strings; bundles with equal lists share one array. */
class LabelLists {
  readonly #column: AttributeColumn;
  readonly #kept = new Map<number, readonly string[]>();

  constructor(column: AttributeColumn) {
    this.#column = column;
  }

  get(row: number): readonly string[] {
    const { lists, labels } = this.#column;
    const code = lists.codes[row] ?? 0;
    const kept = this.#kept.get(code);
    if (kept !== undefined) return kept;
    const keys = Array.from(lists.keys.subarray(lists.starts[code], lists.starts[code + 1]));
    const list = Object.freeze(keys.map((key) => labels.get(key)));
    if (this.#kept.size < MAX_KEPT && list.length <= MAX_KEPT_LENGTH) this.#kept.set(code, list);
    return list;
  }
}

/** Reads what an index knows of a row. */
export class RowReader {
  readonly #columns: Columns;
  readonly #countries: LabelLists;
  readonly #groups: LabelLists;

  constructor(columns: Columns) {
    this.#columns = columns;
    this.#countries = new LabelLists(columns.country);
    this.#groups = new LabelLists(columns.group);
  }

  read(row: number): BundleRow {
    const { documents, names, nameRanks, price, givenAmounts, dataAmount, duration } =
      this.#columns;
    return {
      document: documents[row] ?? 0,
      name: names.get(nameRanks[row] ?? 0),
      price: price.values[price.codeAt(row)] ?? 0,
      dataAmount: givenAmounts.values[givenAmounts.codes[row] ?? 0] ?? 0,
      unlimited: dataAmount.valueAt(row) === Number.POSITIVE_INFINITY,
      duration: duration.valueAt(row),
      countries: this.#countries.get(row),
      groups: this.#groups.get(row),
    };
  }
}
