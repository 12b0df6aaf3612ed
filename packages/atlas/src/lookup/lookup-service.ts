import { InvalidOptionError } from '@holdfast/foundation';
import type { DistrictFeature, LegislativeLayerType } from '../atlas.ts';
import {
  type BoundingBox,
  DistrictIndex,
  type FoundDistrict,
  type IndexedDistrict,
} from './district-index.ts';

/** A district without its lines. */
export interface DistrictMatch {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly layer: LegislativeLayerType;
  /** The position is on its line; it is in the district beyond it as well. */
  readonly isOnBoundary: boolean;
}

/** The districts at a position. */
export interface LookupResult {
  readonly lat: number;
  readonly lon: number;
  readonly districts: readonly DistrictMatch[];
}

/** The features of one layer of one state. */
export interface DistrictLayer {
  readonly state: string;
  readonly layer: LegislativeLayerType;
  readonly features: readonly DistrictFeature[];
}

/** Finds the districts of a position. */
export interface LookupService {
  /** @throws whatever it has instead of an answer */
  lookup(
    lat: number,
    lon: number,
    options?: { readonly signal?: AbortSignal },
  ): LookupResult | PromiseLike<LookupResult>;
  /** The districts that touch a box, at most `limit`; absent where there is nothing to draw. */
  within?(box: BoundingBox, limit: number): readonly DistrictLayer[];
}

/** Names of a district, in the order in which portals use them. */
const NAMES = ['NAMELSAD', 'NAME', 'name'];

/**
 * A lookup over layers in memory.
 * @throws InvalidOptionError when two districts have the same id
 */
export function createLookupService(layers: readonly DistrictLayer[]): LookupService {
  const districts = layers.flatMap(districtsOf);
  const ids = new Set<string>();
  for (const { id } of districts) {
    if (ids.has(id)) throw new InvalidOptionError('createLookupService', 'id', id, 'unique');
    ids.add(id);
  }
  const index = new DistrictIndex(districts);
  return {
    lookup: (lat, lon) => ({ lat, lon, districts: index.find(lat, lon).map(matchOf) }),
    within: (box, limit) =>
      index.within(box, limit).map(({ state, layer, feature, id, name }) => ({
        state,
        layer,
        features: [{ ...feature, id, properties: { name } }],
      })),
  };
}

function districtsOf({ state, layer, features }: DistrictLayer): IndexedDistrict[] {
  return features.map((feature, at) => {
    const key = feature.id ?? at;
    const named = NAMES.map((name) => feature.properties?.[name]).find(
      (name) => typeof name === 'string',
    );
    const id = `${state}-${layer}-${key}`;
    return { id, name: named ?? id, state, layer, feature };
  });
}

function matchOf({ district, isOnBoundary }: FoundDistrict): DistrictMatch {
  const { id, name, state, layer } = district;
  return { id, name, state, layer, isOnBoundary };
}
