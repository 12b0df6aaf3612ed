/**
 * What the services of this package exchange: GeoJSON as far as it describes districts (RFC 7946), and what became of
 * a layer.
 */

/** Longitude and latitude in degrees; a height is permitted and not read. */
export type Position = readonly number[];

/** A closed line: its first position is its last. */
export type Ring = readonly Position[];

/** An outer ring, then its holes. */
export type PolygonRings = readonly Ring[];

/** One polygon, in the form of GeoJSON. */
interface PolygonGeometry {
  readonly type: 'Polygon';
  readonly coordinates: PolygonRings;
}

/** Several polygons, such as islands. */
interface MultiPolygonGeometry {
  readonly type: 'MultiPolygon';
  readonly coordinates: readonly PolygonRings[];
}

/** The geometries that a district may have. */
export type DistrictGeometry = PolygonGeometry | MultiPolygonGeometry;

/** A district as a portal sends it and a snapshot keeps it. */
export interface DistrictFeature {
  readonly type: 'Feature';
  /** Its number at the portal. */
  readonly id?: string | number;
  readonly geometry: DistrictGeometry;
  readonly properties: Readonly<Record<string, unknown>> | null;
}

/** A snapshot of districts, as gateways serve it. */
export interface SnapshotData {
  readonly type: 'FeatureCollection';
  readonly features: readonly DistrictFeature[];
}

/** The kinds of districts that the portals of states publish. */
export type LegislativeLayerType = 'congressional' | 'state_senate' | 'state_house';

/** Every kind, in the order in which a batch takes them. */
export const legislativeLayers: readonly LegislativeLayerType[] = [
  'congressional',
  'state_senate',
  'state_house',
];

/** What an extraction of one layer brought. */
export interface LayerResult {
  readonly success: boolean;
  readonly featureCount: number;
  /** Absent when the extractor stores them itself. */
  readonly features?: readonly DistrictFeature[];
  /** Features that are not districts, by the reason; absent when there are none. */
  readonly rejected?: Readonly<Record<string, number>>;
}

/** Extracts one layer of one state. */
export interface LayerExtractor {
  /** @throws what the portal answered, when it does not pass */
  extractLayer(
    state: string,
    layer: LegislativeLayerType,
    options?: { readonly signal?: AbortSignal },
  ): Promise<LayerResult>;
}

/** Injects faults into calls, such as a `ChaosFaultInjector` of `@holdfast/faults`. */
export interface ChaosInjector {
  execute<T>(
    work: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined; key?: string },
  ): Promise<T>;
}
