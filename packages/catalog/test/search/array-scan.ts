/** The search, as simply as it can be said: what the index has to agree with. */
import type {
  Bundle,
  BundleRow,
  CatalogQuery,
  Facet,
  FacetCount,
  SearchResult,
} from '@holdfast/catalog';

interface Scanned {
  readonly row: BundleRow;
  readonly amount: number;
  readonly regions: ReadonlySet<string>;
  readonly regionLabels: ReadonlyMap<string, string>;
  readonly roaming: ReadonlySet<string>;
  readonly words: readonly string[];
}

/** Of bundles with one name, the last counts. */
export function arrayScan(bundles: readonly Bundle[]): (query: CatalogQuery) => SearchResult {
  const labels = new Map<string, string>();
  for (const { region } of bundles.flatMap(({ countries }) => countries)) {
    if (!labels.has(region.toUpperCase())) labels.set(region.toUpperCase(), region);
  }
  const latest = new Map(bundles.map((bundle, document) => [bundle.name, { bundle, document }]));
  const all = [...latest.values()].map(({ bundle, document }) => scanned(bundle, document, labels));
  return (query) => {
    const found = all.filter((one) => matches(one, query)).toSorted(order(query));
    const { offset = 0, limit = 20 } = query;
    return {
      total: found.length,
      rows: found.slice(offset, offset + limit).map(({ row }) => row),
      facets: Object.fromEntries((query.facets ?? []).map((facet) => [facet, count(found, facet)])),
    };
  };
}

function scanned(bundle: Bundle, document: number, regionLabels: Map<string, string>): Scanned {
  const { name, price, dataAmount, unlimited, duration, countries } = bundle;
  return {
    row: {
      document,
      name,
      price,
      dataAmount,
      unlimited,
      duration,
      countries: [...new Set(countries.map(({ iso }) => iso.toUpperCase()))],
      groups: [...new Set(bundle.groups)],
    },
    amount: unlimited ? Infinity : dataAmount,
    regions: new Set(countries.map(({ region }) => region.toUpperCase())),
    regionLabels,
    roaming: new Set((bundle.roamingEnabled ?? []).map(({ iso }) => iso.toUpperCase())),
    words: [name, bundle.description ?? '', ...countries.map((country) => country.name)].flatMap(
      (text) => words(text),
    ),
  };
}

function words(text: string): string[] {
  const folded = text.slice(0, 2_000).normalize('NFKD').replace(/\p{M}/gu, '').toUpperCase();
  return folded
    .split(/[^\p{L}\p{N}]/u)
    .filter((word) => word !== '')
    .map((word) => word.slice(0, 64));
}

function matches({ row, amount, regions, roaming, words: own }: Scanned, query: CatalogQuery) {
  return (
    (query.country === undefined || row.countries.includes(query.country.toUpperCase())) &&
    (query.region === undefined || regions.has(query.region.toUpperCase())) &&
    (query.group === undefined || row.groups.includes(query.group)) &&
    (query.roaming === undefined || roaming.has(query.roaming.toUpperCase())) &&
    (query.unlimited === undefined || row.unlimited === query.unlimited) &&
    isBetween(amount, query.minDataMb, query.maxDataMb) &&
    isBetween(row.duration, query.minDurationDays, query.maxDurationDays) &&
    isBetween(row.price, query.minPrice, query.maxPrice) &&
    words(query.text ?? '').every((word) => own.some((one) => one.startsWith(word)))
  );
}

function isBetween(value: number, min = -Infinity, max: number | undefined): boolean {
  return value >= min && (max === undefined || value <= max);
}

function order(query: CatalogQuery): (left: Scanned, right: Scanned) => number {
  const { sort = 'price' } = query;
  const sign = query.direction === 'descending' ? -1 : 1;
  const byName = (left: Scanned, right: Scanned): number =>
    compareCodePoints(left.row.name, right.row.name);
  if (sort === 'name') return (left, right) => sign * byName(left, right);
  const valueOf = ({ row, amount }: Scanned): number =>
    sort === 'dataAmount' ? amount : row[sort];
  return (left, right) => {
    const [one, other] = [valueOf(left), valueOf(right)];
    return one === other ? byName(left, right) : sign * (one < other ? -1 : 1);
  };
}

export function compareCodePoints(left: string, right: string): number {
  if (left === right) return 0;
  const [ones, others] = [Array.from(left), Array.from(right)];
  for (const [at, one] of ones.entries()) {
    const difference = (one.codePointAt(0) ?? 0) - (others[at]?.codePointAt(0) ?? -1);
    if (difference !== 0) return difference;
  }
  return ones.length - others.length;
}

function count(found: readonly Scanned[], facet: Facet): FacetCount[] {
  const counts = new Map<string, number>();
  for (const one of found) {
    for (const value of valuesOf(one, facet)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const labels = found[0]?.regionLabels;
  return [...counts]
    .toSorted(
      ([value, own], [otherValue, other]) => other - own || compareCodePoints(value, otherValue),
    )
    .map(([value, own]) => ({
      value: facet === 'region' ? (labels?.get(value) ?? '') : value,
      count: own,
    }));
}

function valuesOf({ row, regions }: Scanned, facet: Facet): Iterable<string> {
  if (facet === 'country') return row.countries;
  if (facet === 'group') return row.groups;
  return facet === 'region' ? regions : [String(row.unlimited)];
}
