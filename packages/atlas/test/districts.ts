import type { DistrictFeature, DistrictLayer, PolygonRings } from '@holdfast/atlas';

/** A square, counterclockwise. */
export function square(west: number, south: number, size: number): [number, number][] {
  const [east, north] = [west + size, south + size];
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
}

export function polygon(id: string | number, ...coordinates: PolygonRings): DistrictFeature {
  return {
    type: 'Feature',
    id,
    geometry: { type: 'Polygon', coordinates },
    properties: { NAME: `District ${id}` },
  };
}

/** Columns times rows of squares of one degree. */
export function grid(columns: number, rows: number, west = -100, south = 30): DistrictLayer {
  const features = Array.from({ length: columns * rows }, (_, at) =>
    polygon(at, square(west + (at % columns), south + Math.floor(at / columns), 1)),
  );
  return { state: 'WI', layer: 'congressional', features };
}
