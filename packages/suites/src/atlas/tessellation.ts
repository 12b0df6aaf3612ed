import type { DistrictFeature, DistrictLayer } from '@holdfast/atlas';
import { seededRandom } from '@holdfast/foundation';

/** The districts lie on 60 by 25 degrees. */
const WEST = -125;
const SOUTH = 24;
const WIDTH = 60;
const HEIGHT = 25;
/** Corners of a district: a square whose sides are drawn in so many steps. */
const STEPS = 8;
/** Every so many districts has a hole. */
const HOLE_EVERY = 10;

/** A grid of districts with waved sides, of which neighbors share the same line. */
export function tessellation(count: number): DistrictLayer {
  const columns = Math.ceil(Math.sqrt((count * WIDTH) / HEIGHT));
  const rows = Math.ceil(count / columns);
  const [width, height] = [WIDTH / columns, HEIGHT / rows];
  const at = (x: number, y: number): [number, number] => {
    const wave = Math.sin(x * 37 + y * 53) * 0.1;
    return [WEST + (x + wave) * width, SOUTH + (y + wave) * height];
  };
  const features = Array.from({ length: count }, (_, index): DistrictFeature => {
    const [x, y] = [index % columns, Math.floor(index / columns)];
    const step = (along: number): number => along / STEPS;
    const ring = [
      ...Array.from({ length: STEPS }, (_each, to) => at(x + step(to), y)),
      ...Array.from({ length: STEPS }, (_each, to) => at(x + 1, y + step(to))),
      ...Array.from({ length: STEPS }, (_each, to) => at(x + 1 - step(to), y + 1)),
      ...Array.from({ length: STEPS }, (_each, to) => at(x, y + 1 - step(to))),
      at(x, y),
    ];
    const hole = [
      at(x + 0.4, y + 0.4),
      at(x + 0.4, y + 0.6),
      at(x + 0.6, y + 0.6),
      at(x + 0.6, y + 0.4),
      at(x + 0.4, y + 0.4),
    ];
    const coordinates = index % HOLE_EVERY === 0 ? [ring, hole] : [ring];
    return {
      type: 'Feature',
      id: index,
      geometry: { type: 'Polygon', coordinates },
      properties: null,
    };
  });
  return { state: 'US', layer: 'congressional', features };
}

/** Positions on the districts. */
export function createPositions(count: number, seed: number): [lat: number, lon: number][] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => [SOUTH + random() * HEIGHT, WEST + random() * WIDTH]);
}

/** What a program without an index does: a ray against each line of each district. */
export function linearScan(layer: DistrictLayer, lat: number, lon: number): string[] {
  const found: string[] = [];
  for (const { id, geometry } of layer.features) {
    if (geometry.type !== 'Polygon') continue;
    let isInside = false;
    for (const ring of geometry.coordinates) {
      for (let index = 0; index + 1 < ring.length; index += 1) {
        const [x = 0, y = 0] = ring[index] ?? [];
        const [nextX = 0, nextY = 0] = ring[index + 1] ?? [];
        if (y > lat === nextY > lat) continue;
        if (lon < ((nextX - x) * (lat - y)) / (nextY - y) + x) isInside = !isInside;
      }
    }
    if (isInside) found.push(`${layer.state}-${layer.layer}-${id}`);
  }
  return found.toSorted();
}
