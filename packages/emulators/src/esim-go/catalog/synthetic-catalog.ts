import { derivedSeed } from '@holdfast/foundation';
import {
  type CatalogSource,
  type RowQuery,
  type SortField,
  ranksOf,
  sortRows,
  wildcard,
} from './catalog-source.ts';
import { places } from './places.ts';
import { type BundleTier, type TierGroup, tierGroups } from './tiers.ts';

export interface SyntheticOptions {
  readonly seed: number;
  /** Over all groups. */
  readonly rows: number;
  /** How often the catalog has changed. */
  readonly revision: number;
  /** The share of the rows, from 0 to 1, whose price each revision changes. */
  readonly changedShare: number;
  /** What is sent as `roamingEnabled`. */
  readonly roaming: 'absent' | 'countries' | 'codes' | 'boolean';
}

/** A row's number: its group in the upper bits, its place in the group below. */
const GROUP_SIZE = 16_777_216;
const RANGE = 4_294_967_296;
/** Of each place: its countries as JSON, and as JSON of codes alone. */
const countriesJson = places.map(({ countries }) =>
  JSON.stringify(countries.map(({ name, region, iso }) => ({ name, region, iso }))),
);
const codesJson = places.map(({ countries }) => JSON.stringify(countries.map(({ iso }) => iso)));
const placeOfCode = new Map(places.map(({ code }, at) => [code, at]));
// With the character that follows it in a name, no code begins with another one.
const codeRanks = ranksOf(places.map(({ code }) => `${code}_`));
const placeNameRanks = ranksOf(places.map(({ name }) => `${name}, V`));
const tierNameRanks = ranksOfTiers(({ label, duration }) => `${label}_${duration}D_`);
const tierTextRanks = ranksOfTiers(({ label, duration }) => `${label}, ${duration} Days, `);

function ranksOfTiers(
  textOf: (tier: BundleTier) => string,
): (group: number, tier: number) => number {
  const ranks = ranksOf(tierGroups.flatMap(({ tiers }) => tiers.map((tier) => textOf(tier))));
  const starts = tierGroups.map((_, group) =>
    tierGroups.slice(0, group).reduce((sum, { tiers }) => sum + tiers.length, 0),
  );
  return (group, tier) => ranks[(starts[group] ?? 0) + tier] ?? 0;
}

/** What a row is made of. */
interface Parts {
  readonly group: number;
  readonly tier: number;
  readonly place: number;
  readonly version: number;
}

/**
 * A catalog of any size that is computed from a seed, row by row, and holds none of them. Sizes and fields are those
 * of the live answer: 780 bytes and 6.2 countries on average, half of the rows below 530 bytes, 1 % over 5.7 kB.
 */
export class SyntheticCatalog implements CatalogSource {
  readonly groups: readonly string[] = tierGroups.map(({ name }) => name);
  readonly #options: SyntheticOptions;
  readonly #counts: number[];

  constructor(options: SyntheticOptions) {
    this.#options = options;
    // In proportion to the tiers, so that all groups have the same versions.
    const tiers = tierGroups.reduce((sum, group) => sum + group.tiers.length, 0);
    let [before, covered] = [0, 0];
    this.#counts = tierGroups.map((group) => {
      covered += group.tiers.length;
      const upTo = Math.round((options.rows * covered) / tiers);
      const count = upTo - before;
      before = upTo;
      return count;
    });
  }

  drift(name: string | undefined, rows: number): void {
    const group = name === undefined ? 0 : this.groups.indexOf(name);
    const count = this.#counts[group];
    if (count !== undefined) {
      this.#counts[group] = Math.min(GROUP_SIZE, Math.max(0, count + rows));
    }
  }

  select(query: RowQuery): Uint32Array {
    const inPlace = matchingPlaces(query);
    const pattern = query.description === undefined ? undefined : wildcard(query.description);
    const rows: number[] = [];
    for (const [group, { name }] of tierGroups.entries()) {
      if (query.group !== undefined && query.group !== name) continue;
      // The newest first: rows that come or go move all the pages behind them.
      for (let at = (this.#counts[group] ?? 0) - 1; at >= 0; at -= 1) {
        if (!inPlace[placeOf(at)]) continue;
        const row = group * GROUP_SIZE + at;
        if (pattern === undefined || pattern.test(describe(partsOf(row)))) rows.push(row);
      }
    }
    const selected = Uint32Array.from(rows);
    const { orderBy, descending = false } = query;
    if (orderBy === undefined) return descending ? selected.toReversed() : selected;
    return sortRows(selected, this.#keyOf(orderBy), descending);
  }

  textOf(row: number): string {
    const parts = partsOf(row);
    const { label, dataAmount, duration } = tierOf(parts);
    const { place, group } = parts;
    const { code } = placeAt(place);
    const { roaming } = this.#options;
    const isUnlimited = dataAmount < 0;
    const countries = countriesJson[place] ?? '[]';
    const roamingText = {
      absent: '',
      countries: `"roamingEnabled":${countries},`,
      codes: `"roamingEnabled":${codesJson[place] ?? '[]'},`,
      boolean: `"roamingEnabled":true,`,
    }[roaming];
    return (
      `{"name":"${nameOf(parts)}","description":"${describe(parts)}",` +
      `"groups":["${this.groups[group] ?? ''}"],"countries":${countries},` +
      `"dataAmount":${dataAmount},"duration":${duration},` +
      `"speed":["2G","3G","4G"${hasFastest(place) ? ',"5G"' : ''}],` +
      `"autostart":${isAutostarted(place)},"unlimited":${isUnlimited},${roamingText}` +
      `"imageUrl":"https://images.example/organisations/standard/bundles/v2/${label.toLowerCase()}/${code}_large.png",` +
      `"price":${this.#centsOf(row, parts) / 100},"billingType":"FixedCost",` +
      `"allowances":[{"type":"DATA","service":"STANDARD","description":"${label} of data",` +
      `"amount":${dataAmount},"unit":"MB","unlimited":${isUnlimited}}]}`
    );
  }

  find(name: string): number | undefined {
    const [, label, days, code = '', digits] =
      /^esim_([A-Z\d]+)_(\d{1,3})D_([A-Z]{2,4})_V(\d{1,8})$/.exec(name) ?? [];
    const place = placeOfCode.get(code);
    if (place === undefined) return undefined;
    for (const [group, { tiers }] of tierGroups.entries()) {
      const tier = tiers.findIndex(
        (each) => each.label === label && each.duration === Number(days),
      );
      if (tier === -1) continue;
      const cell = cells[group]?.[tier * places.length + place] ?? 0;
      const at = (Number(digits) - FIRST_VERSION) * tiers.length * places.length + cell;
      if (at < 0 || at >= (this.#counts[group] ?? 0)) return undefined;
      const row = group * GROUP_SIZE + at;
      // A version with leading zeros is another name.
      return nameOf(partsOf(row)) === name ? row : undefined;
    }
    return undefined;
  }

  #centsOf(row: number, parts: Parts): number {
    const { seed, revision, changedShare } = this.#options;
    let changes = 0;
    for (let at = 1; at <= revision; at += 1) {
      if (derivedSeed(seed, row, at) < changedShare * RANGE) changes = at;
    }
    const { countries } = placeAt(parts.place);
    const spread = 0.7 + (0.6 * derivedSeed(seed, row, -1 - changes)) / RANGE;
    const wideness = 1 + Math.log2(countries.length) / 4;
    return Math.max(1, Math.round(tierOf(parts).cents * spread * wideness));
  }

  #keyOf(field: SortField): (row: number) => number {
    const versions = this.#versionRanks();
    const chain =
      (tierRanks: (group: number, tier: number) => number, placeRanks: readonly number[]) =>
      (row: number): number => {
        const { group, tier, place, version } = partsOf(row);
        const outer = tierRanks(group, tier) * places.length + (placeRanks[place] ?? 0);
        return outer * versions.length + (versions[version - FIRST_VERSION] ?? 0);
      };
    const keys: Record<SortField, (row: number) => number> = {
      name: chain(tierNameRanks, codeRanks),
      description: chain(tierTextRanks, placeNameRanks),
      // Unlimited is the least, as the number says.
      dataAmount: (row) => tierOf(partsOf(row)).dataAmount + 1,
      duration: (row) => tierOf(partsOf(row)).duration,
      price: (row) => this.#centsOf(row, partsOf(row)),
      speed: (row) => Number(hasFastest(partsOf(row).place)),
      autostart: (row) => Number(isAutostarted(partsOf(row).place)),
      roamingEnabled: () => 0,
    };
    return keys[field];
  }

  /** The ranks of the versions as texts, by which `V10` is before `V2`. */
  #versionRanks(): readonly number[] {
    const newest = this.#counts.map((count, group) =>
      count === 0 ? FIRST_VERSION : partsOf(group * GROUP_SIZE + count - 1).version,
    );
    const length = Math.max(...newest) - FIRST_VERSION + 1;
    return ranksOf(Array.from({ length }, (_, at) => String(at + FIRST_VERSION)));
  }
}

const FIRST_VERSION = 2;

/** Neighbors are far apart, so that a small catalog has countries of all regions, and codes for several. */
const STRIDE = 101;
const placeOf = (at: number): number => (at * STRIDE) % places.length;

// As the number of places is a prime, a version has each tier at each place once.
function partsOf(row: number): Parts {
  const group = Math.floor(row / GROUP_SIZE);
  const at = row % GROUP_SIZE;
  const tiers = groupAt(group).tiers.length;
  const version = Math.floor(at / (tiers * places.length)) + FIRST_VERSION;
  return { group, tier: at % tiers, place: placeOf(at), version };
}

function nameOf(parts: Parts): string {
  const { label, duration } = tierOf(parts);
  return `esim_${label}_${duration}D_${placeAt(parts.place).code}_V${parts.version}`;
}

function describe(parts: Parts): string {
  const { label, duration } = tierOf(parts);
  return `eSIM, ${label}, ${duration} Days, ${placeAt(parts.place).name}, V${parts.version}`;
}

/** Of each group: where in a version a tier at a place is. */
const cells = tierGroups.map(({ tiers }) => {
  const found = new Uint32Array(tiers.length * places.length);
  for (const at of found.keys()) found[(at % tiers.length) * places.length + placeOf(at)] = at;
  return found;
});

const hasFastest = (place: number): boolean => place % 5 !== 3;
const isAutostarted = (place: number): boolean => place % 10 !== 7;

const required = <T>(value: T | undefined): T => {
  if (value === undefined) throw new RangeError('a row that the catalog does not have');
  return value;
};
const groupAt = (group: number): TierGroup => required(tierGroups[group]);
const placeAt = (place: number): (typeof places)[number] => required(places[place]);
const tierOf = ({ group, tier }: Parts): BundleTier => required(groupAt(group).tiers[tier]);

function matchingPlaces({ countries, region }: RowQuery): readonly boolean[] {
  return places.map((place) => {
    const isThere =
      countries === undefined || place.countries.some(({ iso }) => countries.includes(iso));
    return isThere && (region === undefined || place.countries.some((it) => it.region === region));
  });
}
