import { InvalidOptionError, type OptionRule, integer, parseOptions } from '@holdfast/foundation';
import type { KeepResults } from './results.ts';

/** `keepResults` with every default filled in. */
export type ResolvedKeepResults = Readonly<Required<KeepResults>>;

const WEEK_MS = 604_800_000;
const HOUR_MS = 3_600_000;
const KIB = 1_024;
const PERMITTED = 'true or { ttlMs, maxBytes }';

const shape = {
  ttlMs: integer({ min: 1, max: WEEK_MS, default: HOUR_MS }),
  maxBytes: integer({ min: 2, max: 8 * KIB * KIB, default: 64 * KIB }),
};

/** How long the progress of a job is kept whose consumer keeps no results, in milliseconds. */
export const PROGRESS_TTL_MS: number = HOUR_MS;

export const keepResultsRule: OptionRule<ResolvedKeepResults> = {
  permitted: PERMITTED,
  parse(value, field, owner) {
    if (value === true) return parseOptions(owner, shape, undefined, field);
    if (typeof value !== 'object') throw new InvalidOptionError(owner, field, value, PERMITTED);
    return parseOptions(owner, shape, value, field);
  },
};
