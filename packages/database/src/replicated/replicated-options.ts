import { randomUUID } from 'node:crypto';
import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { type RegionDatabase, tableRule } from './register-table.ts';

/** One region: an independent Postgres that accepts writes. */
export interface Region {
  readonly name: string;
  readonly database: RegionDatabase;
}

/** Options of `createReplicatedStore`. All times in milliseconds. */
export interface ReplicatedStoreOptions {
  /** 1 to 9, each with a unique name. */
  regions: readonly Region[];
  /** How many have to confirm a write. Default: a majority. */
  writeQuorum?: number;
  /** How many have to answer a read; together with `writeQuorum` more than there are regions. Default: a majority. */
  readQuorum?: number;
  /** The table of the registers, created by `registerTableSql`. Default `holdfast_registers`. */
  table?: string;
  /** How long a call may take, in milliseconds. Default 5 000. */
  timeoutMs?: number;
  /** How long the nearest regions may take before another one is asked too. Default 50. */
  hedgeDelayMs?: number;
  /** How long a region that has failed is asked last, in milliseconds. Default 5 000. */
  suspectMs?: number;
  /** The longest value, as JSON, in bytes. Default 1 MiB. */
  maxValueBytes?: number;
  /** Calls that may return while requests to some regions still run. Default 1 000. */
  maxTrailing?: number;
  /** Identifies this store in versions; must never be used again. Default: a random UUID. */
  writer?: string;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

export type ResolvedReplicatedOptions = Readonly<Required<ReplicatedStoreOptions>>;

const OWNER = 'createReplicatedStore';
const MAX_REGIONS = 9;
const LONGEST_MS = 86_400_000;

const regionsRule: OptionRule<readonly Region[]> = {
  permitted: `an array of 1 to ${MAX_REGIONS} regions ({ name, database }), each with a name of its own`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length < 1 || value.length > MAX_REGIONS) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const regions = value.map((region: unknown, index) => regionOf(region, `${field}[${index}]`));
    if (new Set(regions.map(({ name }) => name)).size === regions.length) return regions;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const shape = {
  regions: regionsRule,
  writeQuorum: optional(integer({ min: 1, max: MAX_REGIONS })),
  readQuorum: optional(integer({ min: 1, max: MAX_REGIONS })),
  table: tableRule,
  timeoutMs: integer({ min: 1, max: LONGEST_MS, default: 5_000 }),
  hedgeDelayMs: integer({ min: 1, max: LONGEST_MS, default: 50 }),
  suspectMs: integer({ min: 1, max: LONGEST_MS, default: 5_000 }),
  maxValueBytes: integer({ min: 1, max: 268_435_456, default: 1_048_576 }),
  maxTrailing: integer({ min: 0, max: 1_000_000, default: 1_000 }),
  writer: matching(/^[\w-]{1,64}$/),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError */
export function parseReplicatedOptions(given: unknown): ResolvedReplicatedOptions {
  const options = parseOptions(OWNER, shape, given);
  const count = options.regions.length;
  const majority = Math.floor(count / 2) + 1;
  const { writeQuorum = majority, readQuorum = majority } = options;
  for (const [field, quorum] of Object.entries({ writeQuorum, readQuorum })) {
    if (quorum > count) throw new InvalidOptionError(OWNER, field, quorum, `from 1 to ${count}`);
  }
  if (writeQuorum + readQuorum <= count) {
    const permitted = `more than ${count - writeQuorum}: a read has to meet every write`;
    throw new InvalidOptionError(OWNER, 'readQuorum', readQuorum, permitted);
  }
  return { ...options, writeQuorum, readQuorum, writer: options.writer ?? randomUUID() };
}

function regionOf(value: unknown, field: string): Region {
  const permitted = 'an object with a name of 1 to 64 letters, digits, - or _, and a database';
  if (typeof value !== 'object' || value === null || !('name' in value) || !('database' in value)) {
    throw new InvalidOptionError(OWNER, field, value, permitted);
  }
  const { name } = value;
  if (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name)) {
    throw new InvalidOptionError(OWNER, `${field}.name`, name, permitted);
  }
  const rule = objectWith<RegionDatabase>(['query']);
  return { name, database: rule.parse(value.database, `${field}.database`, OWNER) };
}

function matching(pattern: RegExp): OptionRule<string | undefined> {
  return {
    permitted: `a string like ${pattern.source}`,
    parse(value, field, owner) {
      if (typeof value === 'string' && pattern.test(value)) return value;
      throw new InvalidOptionError(owner, field, value, this.permitted);
    },
    defaultValue: () => undefined,
  };
}
