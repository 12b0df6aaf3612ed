/** Bundles and queries for tests, from a seed. */
import type { Bundle, CatalogQuery, Country, Facet } from '@holdfast/catalog';
import { type Random, seededRandom } from '@holdfast/foundation';

const REGIONS = ['Europe', 'Asia', 'Africa', 'North America', 'Oceania'] as const;
const GROUPS = ['Standard Fixed', 'Standard Long Duration', 'Standard Unlimited Lite'] as const;
const NAMES = ['Andorra', 'Germany', 'Côte d’Ivoire', 'United States', 'Türkiye', 'Guinea-Bissau'];

const SYLLABLES = ['ba', 'ka', 'lo', 'mi', 'nu', 'sa', 'te', 'vo', 'zu', 'ri'];

/** Texts that have broken indexes. */
export const HOSTILE = [
  '__proto__',
  'constructor',
  'ﬀ ﬁ Å Å ß ẞ İ ı ΟΔΟΣ',
  '\u0000\u0001',
  'a\u0000b',
  '\ud800',
  '\udc00 \ud800x',
  '\ufffd',
  '🌍🌍 日本語 العربية',
  '"); DROP TABLE bundles; --',
  '../../etc/passwd',
  '<script>alert(1)</script>',
  '%s%n ${x} {{y}}',
  ' ',
  'x'.repeat(300),
  `${'y'.repeat(70)} z`,
] as const;

export function countriesOf(count: number): readonly Country[] {
  return Array.from({ length: count }, (_, at) => ({
    name: NAMES[at] ?? madeName(at),
    region: REGIONS[at % REGIONS.length] ?? '',
    iso: String.fromCharCode(65 + (Math.floor(at / 26) % 26), 65 + (at % 26)),
  }));
}

/** Such as `Lomisa`: different for the first 1 000. */
function madeName(at: number): string {
  const syllables = [at % 10, Math.floor(at / 10) % 10, Math.floor(at / 100) % 10];
  const name = syllables.map((digit) => SYLLABLES[digit] ?? '').join('');
  return `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
}

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new RangeError('there is nothing to pick');
  return value;
}

/** As the API has them: most are of one country, some of a region; prices and amounts repeat. */
export function realisticBundles(count: number, seed: number): Bundle[] {
  const random = seededRandom(seed);
  const countries = countriesOf(210);
  const regional = Array.from({ length: 40 }, (_, at) => {
    const size = 10 + Math.floor(random() * 50);
    return {
      code: `R${at}`,
      countries: Array.from({ length: size }, () => pick(random, countries)),
    };
  });
  return Array.from({ length: count }, (_, at) => {
    const gigabytes = pick(random, [1, 2, 3, 5, 10, 20, 30, 50, 100]);
    const duration = pick(random, [1, 7, 15, 30, 90, 180]);
    const unlimited = random() < 0.2;
    const country = pick(random, countries);
    const area =
      random() < 0.15 ? pick(random, regional) : { code: country.iso, countries: [country] };
    const size = unlimited ? 'UL' : `${gigabytes}GB`;
    return {
      name: `esim_${size}_${duration}D_${area.code}_V2_${String(at).padStart(6, '0')}`,
      description: `eSIM, ${size}, ${duration} Days, ${country.name}, V2`,
      groups: [pick(random, GROUPS)],
      countries: area.countries,
      dataAmount: unlimited ? -1 : gigabytes * 1_000,
      duration,
      unlimited,
      price: Math.round((gigabytes * 1.1 + duration * 0.3) * (80 + random() * 40)) / 100,
      roamingEnabled: area.countries,
    };
  });
}

/** Few values, so that they meet; hostile texts, names that come again, missing and empty fields, any case. */
export function hostileBundles(count: number, random: Random): Bundle[] {
  const countries = countriesOf(12).concat(
    HOSTILE.slice(0, 6).map((text) => ({ name: text, region: text, iso: text })),
  );
  const someCountries = (): Country[] =>
    Array.from({ length: Math.floor(random() * 5) }, () => {
      const country = pick(random, countries);
      if (random() < 0.7) return country;
      const { name, region, iso } = country;
      return { name, region: region.toLowerCase(), iso: iso.toLowerCase() };
    });
  return Array.from({ length: count }, () => {
    const unlimited = random() < 0.3;
    return {
      name: random() < 0.2 ? pick(random, HOSTILE) : `bundle_${Math.floor(random() * count * 2)}`,
      price: pick(random, [0, 0.1, 0.2, 0.30000000000000004, 1, 1, 5e-324, 1e9, random()]),
      dataAmount: pick(random, unlimited ? [-1, 0, 1_000] : [0, 1_000, 5_000, 0.5, 1e15]),
      duration: random() < 0.5 ? pick(random, [0, 1, 7, 30]) : Math.floor(random() * count),
      unlimited,
      countries: someCountries(),
      ...(random() < 0.5 ? { roamingEnabled: someCountries() } : {}),
      ...(random() < 0.8 ? { groups: [pick(random, GROUPS), pick(random, HOSTILE)] } : {}),
      ...(random() < 0.7 ? { description: `${pick(random, HOSTILE)} ${pick(random, NAMES)}` } : {}),
    };
  });
}

const FACETS: readonly Facet[] = ['country', 'region', 'group', 'unlimited'];

/** A query that may match: its values are those of a bundle, or nearly. */
export function randomQuery(bundles: readonly Bundle[], random: Random): CatalogQuery {
  const chosen = (share: number): Bundle | undefined =>
    bundles.length > 0 && random() < share ? pick(random, bundles) : undefined;
  const country = chosen(0.3)?.countries[0]?.iso;
  const region = chosen(0.2)?.countries[0]?.region;
  const roaming = chosen(0.15)?.roamingEnabled?.[0]?.iso;
  const group = chosen(0.2)?.groups?.at(-1);
  const text = chosen(0.3);
  return {
    ...(isSearched(country) ? { country: anyCase(country, random) } : {}),
    ...(isSearched(region) ? { region: anyCase(region, random) } : {}),
    ...(isSearched(roaming) ? { roaming } : {}),
    ...(group === undefined || group.length > 200 ? {} : { group }),
    ...(text === undefined ? {} : { text: textOf(text, random) }),
    ...(random() < 0.2 ? { unlimited: random() < 0.5 } : {}),
    ...range('minPrice', 'maxPrice', [chosen(0.3)?.price, chosen(0.3)?.price]),
    ...range('minDataMb', 'maxDataMb', [chosen(0.2)?.dataAmount, chosen(0.2)?.dataAmount]),
    ...range('minDurationDays', 'maxDurationDays', [chosen(0.2)?.duration, chosen(0.2)?.duration]),
    sort: pick(random, ['price', 'dataAmount', 'duration', 'name'] as const),
    direction: random() < 0.5 ? 'ascending' : 'descending',
    offset: random() < 0.5 ? 0 : Math.floor(random() * bundles.length * 1.1),
    limit: Math.floor(random() * 40),
    facets: FACETS.filter(() => random() < 0.3),
  };
}

function isSearched(code: string | undefined): code is string {
  return code !== undefined && code !== '' && code.length <= 16;
}

function anyCase(text: string, random: Random): string {
  return random() < 0.5 ? text.toLowerCase() : text;
}

function textOf({ name, description }: Bundle, random: Random): string {
  const words = `${name} ${description ?? ''}`.split(/[\s_]+/);
  const word = pick(random, words);
  if (random() < 0.1) return name.slice(0, 200);
  const start = word.slice(0, 1 + Math.floor(random() * word.length));
  return `${start} ${random() < 0.3 ? pick(random, words) : ''}`.slice(0, 200);
}

function range(
  min: string,
  max: string,
  values: readonly (number | undefined)[],
): Record<string, number> {
  const [low, high] = values.map((value) => (value === undefined || value < 0 ? undefined : value));
  const isReversed = low !== undefined && high !== undefined && low > high;
  const from = isReversed ? high : low;
  const to = isReversed ? low : high;
  return {
    ...(from === undefined ? {} : { [min]: from }),
    ...(to === undefined ? {} : { [max]: to }),
  };
}
