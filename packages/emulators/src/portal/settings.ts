import { integer, number, parseOptions } from '@holdfast/foundation';

/** Options of the emulated portal. */
export interface PortalOptions {
  /** The share of requests with a fault, 0 to 1. Default 0. */
  faultRate?: number;
  /** Draws faults and districts. Default 1. */
  seed?: number;
  /** Districts of a layer. Default 30. */
  districts?: number;
  /** The most features of a page, whatever is asked for. Default 1 000. */
  maxRecordCount?: number;
  /** Every so many features is no district; 0 for none. Default 0. */
  broken?: number;
  /** What a 429 asks to wait, in seconds. Default 1. */
  retryAfterS?: number;
}

export type PortalSettings = Required<PortalOptions>;

const MAX_DISTRICTS = 100_000;

const schema = {
  faultRate: number({ min: 0, max: 1, default: 0 }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  districts: integer({ min: 0, max: MAX_DISTRICTS, default: 30 }),
  maxRecordCount: integer({ min: 1, max: MAX_DISTRICTS, default: 1_000 }),
  broken: integer({ min: 0, max: MAX_DISTRICTS, default: 0 }),
  retryAfterS: integer({ min: 0, max: 3_600, default: 1 }),
};

/** @throws InvalidOptionError */
export function parsePortalSettings(owner: string, given: unknown): PortalSettings {
  return parseOptions(owner, schema, given ?? {});
}
