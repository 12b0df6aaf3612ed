import Flatbush from 'flatbush';
import pointInPolygon from 'point-in-polygon-hao';
import type { DistrictFeature, LegislativeLayerType, PolygonRings } from '../atlas.ts';
import { unwrapRing } from '../geometry/rings.ts';

/** A district of an index. */
export interface IndexedDistrict {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly layer: LegislativeLayerType;
  readonly feature: DistrictFeature;
}

/** A district that contains a position. */
export interface FoundDistrict {
  readonly district: IndexedDistrict;
  /** On one of its lines: the district beyond it is found as well. */
  readonly isOnBoundary: boolean;
}

/** West, south, east and north, in degrees. */
export type BoundingBox = readonly [west: number, south: number, east: number, north: number];

interface IndexedPolygon {
  readonly district: IndexedDistrict;
  readonly rings: [number, number][][];
}

const TURN = 360;

/**
 * Finds districts by position: an R-tree over the boxes of their polygons, then the exact test. Polygons that cross the
 * antimeridian are kept beyond 180 degrees, and a position is looked for there too.
 */
export class DistrictIndex {
  readonly size: number;
  readonly #polygons: IndexedPolygon[] = [];
  readonly #tree: Flatbush | undefined;
  /** What is added to a longitude to look for it. */
  readonly #shifts: readonly number[];

  constructor(districts: readonly IndexedDistrict[]) {
    this.size = districts.length;
    for (const district of districts) {
      const { geometry } = district.feature;
      const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
      for (const rings of polygons) this.#polygons.push({ district, rings: unwrapped(rings) });
    }
    const tree = this.#polygons.length > 0 ? new Flatbush(this.#polygons.length) : undefined;
    for (const { rings } of this.#polygons) tree?.add(...boxOf(rings[0] ?? []));
    tree?.finish();
    this.#tree = tree;
    const shifts = [0];
    if (tree !== undefined && tree.maxX > TURN / 2) shifts.push(TURN);
    if (tree !== undefined && tree.minX < -TURN / 2) shifts.push(-TURN);
    this.#shifts = shifts;
  }

  /** The districts that contain the position, those whose line it is on included, in the order of their ids. */
  find(latitude: number, longitude: number): FoundDistrict[] {
    const found = new Map<IndexedDistrict, boolean>();
    for (const shift of this.#shiftsAt(longitude)) {
      const x = longitude + shift;
      for (const at of this.#tree?.search(x, latitude, x, latitude) ?? []) {
        const polygon = this.#polygons[at];
        if (polygon === undefined) continue;
        const side = pointInPolygon([x, latitude], polygon.rings);
        if (side === false) continue;
        const { district } = polygon;
        found.set(district, side === 0 && found.get(district) !== false);
      }
    }
    return Array.from(found, ([district, isOnBoundary]) => ({ district, isOnBoundary })).toSorted(
      (left, right) => (left.district.id < right.district.id ? -1 : 1),
    );
  }

  /** The antimeridian has two longitudes, and is the line between what lies on both sides. */
  #shiftsAt(longitude: number): readonly number[] {
    return Math.abs(longitude) === TURN / 2 ? [...this.#shifts, -2 * longitude] : this.#shifts;
  }

  /** The districts whose boxes touch the given one, at most `limit`. */
  within([west, south, east, north]: BoundingBox, limit: number): IndexedDistrict[] {
    const found = new Set<IndexedDistrict>();
    for (const shift of this.#shifts) {
      const hits = this.#tree?.search(west + shift, south, east + shift, north, (at) => {
        const polygon = this.#polygons[at];
        if (polygon !== undefined && found.size < limit) found.add(polygon.district);
        return false;
      });
      if (hits === undefined || found.size >= limit) break;
    }
    return [...found];
  }
}

/** A hole is moved beside its outer ring. */
function unwrapped(rings: PolygonRings): [number, number][][] {
  const [outer = [], ...holes] = rings.map((ring) => unwrapRing(ring) ?? []);
  const [west, , east] = boxOf(outer);
  const moved = holes.map((hole) => {
    const [from, , to] = boxOf(hole);
    const shift = to > east ? -TURN : 0;
    const back = from < west ? TURN : 0;
    return hole.map(([x, y]): [number, number] => [x + shift + back, y]);
  });
  return [outer, ...moved];
}

function boxOf(ring: readonly (readonly [number, number])[]): [number, number, number, number] {
  let west = Infinity;
  let south = Infinity;
  let east = -Infinity;
  let north = -Infinity;
  for (const [x, y] of ring) {
    west = Math.min(west, x);
    south = Math.min(south, y);
    east = Math.max(east, x);
    north = Math.max(north, y);
  }
  return [west, south, east, north];
}
