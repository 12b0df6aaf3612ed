/**
 * The lookup of districts among 100,000 polygons of the emulated portals: a million lookups, beside a scan of all of them
 * in the same process. Exits with 1 when the 99th percentile is a millisecond or more, or the index is less than ten
 * times as fast as the scan, or does not find the same.
 */
import {
  type DistrictFeature,
  checkFeature,
  createLookupService,
  type LookupResult,
} from '@holdfast/atlas';
import { portalDistricts, portalStates } from '@holdfast/emulators/atlas';
import { seededRandom } from '@holdfast/foundation';

const PER_STATE = 2_000;
const LOOKUPS = 1_000_000;
const SCANS = 50;
const P99_BAR_MS = 1;
const AHEAD_BAR = 10;
const LAYER = 'congressional';

const layers = portalStates.map((state) => ({
  state,
  layer: LAYER,
  features: portalDistricts(state, LAYER, { count: PER_STATE, seed: 1, broken: 0 }).flatMap(
    (sent): DistrictFeature[] => {
      const checked = checkFeature(sent);
      return checked.kind === 'district' ? [checked.feature] : [];
    },
  ),
})) satisfies Parameters<typeof createLookupService>[0];
const service = createLookupService(layers);

/** On the squares of the states, and a little beyond. */
const random = seededRandom(1);
const positions = Array.from({ length: LOOKUPS }, (): [lat: number, lon: number] => [
  24 + random() * 28,
  -126 + random() * 52,
]);

/** A ray against each line of each district. */
function scan(lat: number, lon: number): string[] {
  const found: string[] = [];
  for (const { state, layer, features } of layers) {
    for (const { id, geometry } of features) {
      const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
      let isInside = false;
      for (const ring of polygons.flat()) {
        for (let at = 0; at + 1 < ring.length; at += 1) {
          const [x = 0, y = 0] = ring[at] ?? [];
          const [nextX = 0, nextY = 0] = ring[at + 1] ?? [];
          if (y > lat === nextY > lat) continue;
          if (lon < ((nextX - x) * (lat - y)) / (nextY - y) + x) isInside = !isInside;
        }
      }
      if (isInside) found.push(`${state}-${layer}-${id}`);
    }
  }
  return found.toSorted();
}

function cpuUsOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** The service in memory answers at once. */
const idsOf = async (lat: number, lon: number): Promise<string[]> => {
  const { districts }: LookupResult = await service.lookup(lat, lon);
  return districts.map(({ id }) => id);
};

const durations = new Float64Array(LOOKUPS);
for (const [at, [lat, lon]] of positions.entries()) {
  const startMs = performance.now();
  void service.lookup(lat, lon);
  durations[at] = performance.now() - startMs;
}
durations.sort();
const quantile = (share: number): number => durations[Math.floor((LOOKUPS - 1) * share)] ?? NaN;
const oursUs = cpuUsOf(() => {
  for (const [lat, lon] of positions) void service.lookup(lat, lon);
});
const sample = positions.slice(0, SCANS);
const scanned: string[][] = [];
const scanUs = cpuUsOf(() => {
  for (const [lat, lon] of sample) scanned.push(scan(lat, lon));
});
const answered = await Promise.all(sample.map(([lat, lon]) => idsOf(lat, lon)));
const isEqual = JSON.stringify(answered) === JSON.stringify(scanned);
const p99Ms = quantile(0.99);
const ahead = scanUs / SCANS / (oursUs / LOOKUPS);
const count = layers.reduce((sum, { features }) => sum + features.length, 0);
process.stdout.write(
  `| lookups among ${count.toLocaleString('en-US')} districts | measured | bar |\n|---|---:|---:|\n` +
    `| CPU of a lookup | ${(oursUs / LOOKUPS).toFixed(2)} µs | |\n` +
    `| p50 and p99 of ${LOOKUPS.toLocaleString('en-US')} | ${quantile(0.5).toFixed(4)} and ${p99Ms.toFixed(4)} ms | ${P99_BAR_MS} ms |\n` +
    `| a scan / a lookup | ${Math.round(ahead).toLocaleString('en-US')}x | at least ${AHEAD_BAR}x |\n` +
    `| the same as a scan | ${isEqual ? 'yes' : 'NO'} | yes |\n`,
);
if (p99Ms >= P99_BAR_MS || ahead < AHEAD_BAR || !isEqual) {
  process.stderr.write('over its bar\n');
  process.exitCode = 1;
}
