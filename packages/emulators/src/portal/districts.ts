import { type Random, derivedSeed, seededRandom } from '@holdfast/foundation';

/** A feature of GeoJSON, sound or not. */
export interface PortalFeature {
  readonly type: 'Feature';
  readonly id: number;
  readonly geometry: unknown;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Columns and rows of the grid on which the states lie, in degrees. */
const STATE_DEGREES = 5;
const STATES_IN_A_ROW = 10;
const WEST = -125;
const SOUTH = 25;
/** Every so many districts has a hole, or is a multipolygon. */
const HOLE_EVERY = 7;
const ISLAND_EVERY = 11;

type Line = [number, number][];

/** The 50 states, in the order of their squares. */
export const portalStates: readonly string[] = (
  'AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO ' +
  'MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY'
).split(' ');

/**
 * The districts of one layer of one state: a grid on the state's square, equal for equal seeds. Outer rings run
 * clockwise, as ArcGIS draws them.
 * @param broken every so many features is no district, in turn for each reason; 0 for none.
 */
export function portalDistricts(
  state: string,
  layer: string,
  {
    count,
    seed,
    broken,
  }: { readonly count: number; readonly seed: number; readonly broken: number },
): PortalFeature[] {
  const at = Math.max(0, portalStates.indexOf(state));
  const west = WEST + (at % STATES_IN_A_ROW) * STATE_DEGREES;
  const south = SOUTH + Math.floor(at / STATES_IN_A_ROW) * STATE_DEGREES;
  const columns = Math.ceil(Math.sqrt(count));
  const size = STATE_DEGREES / columns;
  const random = randomOf(seed, `${state}/${layer}`);
  return Array.from({ length: count }, (_, index) => {
    const x = west + (index % columns) * size;
    const y = south + Math.floor(index / columns) * size;
    const id = index + 1;
    const isBroken = broken > 0 && id % broken === 0;
    return {
      type: 'Feature',
      id,
      geometry: isBroken ? brokenGeometry(id / broken, x, y, size) : geometryOf(index, x, y, size),
      properties: {
        OBJECTID: id,
        NAME: `${state} ${layer} ${id}`,
        POPULATION: Math.floor(random() * 800_000),
      },
    };
  });
}

/** Random numbers of one layer. */
export function randomOf(seed: number, layer: string): Random {
  let hash = 0;
  for (const character of layer)
    hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return seededRandom(derivedSeed(seed, hash));
}

function geometryOf(index: number, x: number, y: number, size: number): object {
  const outer = clockwise(x, y, size);
  const part = size / 4;
  if (index % ISLAND_EVERY === ISLAND_EVERY - 1) {
    const other = clockwise(x + 3 * part, y + 3 * part, part);
    return { type: 'MultiPolygon', coordinates: [[clockwise(x, y, part)], [other]] };
  }
  if (index % HOLE_EVERY !== HOLE_EVERY - 1) return { type: 'Polygon', coordinates: [outer] };
  const hole = clockwise(x + part, y + part, part).toReversed();
  return { type: 'Polygon', coordinates: [outer, hole] };
}

function brokenGeometry(turn: number, x: number, y: number, size: number): unknown {
  const ring = clockwise(x, y, size);
  const kinds = [
    null,
    { type: 'Polygon', coordinates: [ring.slice(0, -1)] },
    { type: 'Polygon', coordinates: [[...ring.slice(0, -1), [999, y]]] },
    { type: 'Point', coordinates: [x, y] },
  ];
  return kinds[turn % kinds.length];
}

function clockwise(x: number, y: number, size: number): Line {
  const [east, north] = [x + size, y + size];
  return [
    [x, y],
    [x, north],
    [east, north],
    [east, y],
    [x, y],
  ];
}
