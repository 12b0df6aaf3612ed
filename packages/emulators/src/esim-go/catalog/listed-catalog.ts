import {
  type CatalogSource,
  type RowQuery,
  type SortField,
  ranksOf,
  sortRows,
  wildcard,
} from './catalog-source.ts';

/** What the filters read of a bundle that may have any shape. */
interface Facts {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly groups: readonly unknown[];
  readonly isos: readonly unknown[];
  readonly regions: readonly unknown[];
  readonly text: string;
}

/** Bundles that are given, in their order; broken ones are sent as they are. */
export class ListedCatalog implements CatalogSource {
  readonly groups: readonly string[];
  readonly #rows: readonly Facts[];
  /** How many of each group's first rows are hidden. */
  readonly #hidden = new Map<string | undefined, number>();

  /** @param groups those that `/organisation/groups` names besides the ones of the bundles. */
  constructor(bundles: readonly unknown[], groups: readonly string[] = []) {
    this.#rows = bundles.map((bundle) => factsOf(bundle));
    const own = this.#rows.flatMap((row) => row.groups.filter((each) => typeof each === 'string'));
    this.groups = [...new Set([...groups, ...own])];
  }

  drift(group: string | undefined, rows: number): void {
    this.#hidden.set(group, Math.max(0, (this.#hidden.get(group) ?? 0) - rows));
  }

  select(query: RowQuery): Uint32Array {
    const { countries, group, region, description, orderBy, descending = false } = query;
    const pattern = description === undefined ? undefined : wildcard(description);
    const matching = this.#present().filter((row) => {
      const { fields, groups, isos, regions } = this.#at(row);
      return (
        (group === undefined || groups.includes(group)) &&
        (countries === undefined || countries.some((iso) => isos.includes(iso))) &&
        (region === undefined || regions.includes(region)) &&
        (pattern === undefined || pattern.test(String(fields['description'])))
      );
    });
    const rows = Uint32Array.from(matching);
    if (orderBy === undefined) return descending ? rows.toReversed() : rows;
    return sortRows(rows, this.#keyOf(orderBy), descending);
  }

  textOf(row: number): string {
    return this.#at(row).text;
  }

  find(name: string): number | undefined {
    return this.#present().find((row) => this.#at(row).fields['name'] === name);
  }

  #present(): readonly number[] {
    const left = new Map(this.#hidden);
    return [...this.#rows.keys()].filter((row) => {
      for (const group of [undefined, ...this.#at(row).groups]) {
        if (group !== undefined && typeof group !== 'string') continue;
        const hidden = left.get(group) ?? 0;
        if (hidden === 0) continue;
        left.set(group, hidden - 1);
        return false;
      }
      return true;
    });
  }

  #keyOf(field: SortField): (row: number) => number {
    const values = this.#rows.map(({ fields }) => fields[field]);
    if (values.every((value) => typeof value === 'number' && Number.isFinite(value))) {
      const sorted = [...new Set(values.map(Number))].toSorted((a, b) => a - b);
      const ranks = new Map(sorted.map((value, rank) => [value, rank]));
      return (row) => ranks.get(Number(values[row])) ?? 0;
    }
    const ranks = ranksOf(values.map(String));
    return (row) => ranks[row] ?? 0;
  }

  #at(row: number): Facts {
    const facts = this.#rows[row];
    if (facts === undefined) throw new RangeError(`no bundle has the number ${row}`);
    return facts;
  }
}

function factsOf(bundle: unknown): Facts {
  const fields = fieldsOf(bundle);
  const countries = listIn(fields, 'countries').map((country) => fieldsOf(country));
  return {
    fields,
    groups: listIn(fields, 'groups'),
    isos: countries.map(({ iso }) => iso),
    regions: countries.map(({ region }) => region),
    // What JSON cannot say, such as undefined, is null.
    text: JSON.stringify(bundle) ?? 'null',
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function listIn(fields: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const list = fields[name];
  return Array.isArray(list) ? list : [];
}
