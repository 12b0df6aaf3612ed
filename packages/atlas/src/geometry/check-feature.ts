import type { DistrictFeature, DistrictGeometry, PolygonRings, Ring } from '../atlas.ts';
import { samePosition, signedArea, unwrapRing } from './rings.ts';

/** Why a feature is no district. */
export type RejectionReason =
  | 'not-a-feature'
  | 'no-geometry'
  | 'not-a-polygon'
  | 'no-rings'
  | 'short-ring'
  | 'open-ring'
  | 'invalid-position'
  | 'no-area'
  | 'around-a-pole';

/** A district, or the reason why it is none. */
export type CheckedFeature =
  | {
      readonly kind: 'district';
      readonly feature: DistrictFeature;
      /** Rings that ran the wrong way and were turned round. */
      readonly rewound: number;
    }
  | { readonly kind: 'rejected'; readonly reason: RejectionReason };

const MIN_POSITIONS = 4;
const MAX_LONGITUDE = 180;
const MAX_LATITUDE = 90;

/**
 * Takes a feature as RFC 7946 has it: closed rings of four positions or more, each in its range and with an area; the
 * outer ring counterclockwise, holes clockwise. Rings that run the other way, as ArcGIS draws them, are turned round.
 * Whether rings cross themselves is not checked.
 */
export function checkFeature(given: unknown): CheckedFeature {
  if (!isRecord(given) || given['type'] !== 'Feature') return rejected('not-a-feature');
  const { geometry, properties, id } = given;
  if (!isRecord(geometry)) return rejected('no-geometry');
  const polygons = polygonsOf(geometry);
  if (polygons === undefined) return rejected('not-a-polygon');
  if (polygons.length === 0) return rejected('no-rings');
  let rewound = 0;
  const checked: Ring[][] = [];
  for (const polygon of polygons) {
    if (!Array.isArray(polygon) || polygon.length === 0) return rejected('no-rings');
    const rings: Ring[] = [];
    for (const [at, ring] of polygon.entries()) {
      const found = checkRing(ring, at === 0);
      if (typeof found === 'string') return rejected(found);
      if (found !== ring) rewound += 1;
      rings.push(found);
    }
    checked.push(rings);
  }
  const feature: DistrictFeature = {
    type: 'Feature',
    ...(typeof id === 'string' || typeof id === 'number' ? { id } : {}),
    geometry: geometryOf(geometry['type'] === 'Polygon', checked),
    properties: isRecord(properties) ? properties : null,
  };
  return { kind: 'district', feature, rewound };
}

function geometryOf(isSingle: boolean, polygons: readonly PolygonRings[]): DistrictGeometry {
  const [only] = polygons;
  return isSingle && only !== undefined
    ? { type: 'Polygon', coordinates: only }
    : { type: 'MultiPolygon', coordinates: polygons };
}

function polygonsOf({ type, coordinates }: Record<string, unknown>): unknown[] | undefined {
  if (!Array.isArray(coordinates)) return undefined;
  if (type === 'Polygon') return [coordinates];
  return type === 'MultiPolygon' ? coordinates : undefined;
}

function checkRing(given: unknown, isOuter: boolean): Ring | RejectionReason {
  if (!Array.isArray(given) || given.length < MIN_POSITIONS) return 'short-ring';
  if (!given.every(isPosition)) return 'invalid-position';
  const ring: Ring = given;
  if (!samePosition(ring[0], ring.at(-1))) return 'open-ring';
  const unwrapped = unwrapRing(ring);
  if (unwrapped === undefined) return 'around-a-pole';
  const area = signedArea(unwrapped);
  if (area === 0) return 'no-area';
  return area > 0 === isOuter ? ring : ring.toReversed();
}

function isPosition(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  const [longitude, latitude]: unknown[] = value;
  return isWithin(longitude, MAX_LONGITUDE) && isWithin(latitude, MAX_LATITUDE);
}

function isWithin(value: unknown, limit: number): boolean {
  return typeof value === 'number' && Math.abs(value) <= limit;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function rejected(reason: RejectionReason): CheckedFeature {
  return { kind: 'rejected', reason };
}
