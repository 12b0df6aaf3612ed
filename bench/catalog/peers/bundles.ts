/** A catalog as the API has it, from a seed: most bundles are of one country, some of a region; amounts repeat. */
import type { Bundle, Country } from '@holdfast/catalog';
import { type Random, seededRandom } from '@holdfast/foundation';

const REGIONS = ['Europe', 'Asia', 'Africa', 'North America', 'Oceania', 'LATAM', 'Middle East'];
const GROUPS = ['Standard Fixed', 'Standard Long Duration', 'Standard Unlimited Lite'];
const GIGABYTES = [1, 2, 3, 5, 10, 20, 30, 50, 100];
const DURATIONS = [1, 7, 15, 30, 90, 180];
const SYLLABLES = ['ba', 'ka', 'lo', 'mi', 'nu', 'sa', 'te', 'vo', 'zu', 'ri'];

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new RangeError('there is nothing to pick');
  return value;
}

export const countries: readonly Country[] = Array.from({ length: 210 }, (_, at) => {
  const digits = [at % 10, Math.floor(at / 10) % 10, Math.floor(at / 100)];
  return {
    name: digits.map((digit) => SYLLABLES[digit]).join(''),
    region: REGIONS[at % REGIONS.length] ?? '',
    iso: String.fromCharCode(65 + Math.floor(at / 26), 65 + (at % 26)),
  };
});

export function createBundles(count: number, seed: number): Bundle[] {
  const random = seededRandom(seed);
  const areas = Array.from({ length: 40 }, (_, at) => ({
    code: `R${at}`,
    countries: Array.from({ length: 10 + Math.floor(random() * 50) }, () =>
      pick(random, countries),
    ),
  }));
  return Array.from({ length: count }, (_, at) => {
    const gigabytes = pick(random, GIGABYTES);
    const duration = pick(random, DURATIONS);
    const unlimited = random() < 0.2;
    const country = pick(random, countries);
    const isRegional = random() < 0.13;
    const area = isRegional ? pick(random, areas) : { code: country.iso, countries: [country] };
    const size = unlimited ? 'UL' : `${gigabytes}GB`;
    return {
      name: `esim_${size}_${duration}D_${area.code}_V2_${at}`,
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
