import {
  type Clock,
  type OptionRule,
  type Random,
  callback,
  integer,
  objectWith,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import {
  type PostgresSource,
  type StoreConnections,
  databaseRule,
  openConnections,
  urlRule,
} from './connections.ts';
import { type Tables, type TablesOptions, tablesOf, tablesSchema } from '../tables.ts';

/** Options of {@link createPostgresGenerations}. All times in milliseconds. */
export interface PostgresGenerationsOptions extends PostgresSource, TablesOptions {
  /** The name in errors and reports. Default `postgres`. */
  readonly name?: string;
  /** How long one call may take, but a publication. Default 10 000. */
  readonly timeoutMs?: number;
  /** How long a publication may take, with the indexes that it makes. Default 60 000. */
  readonly publishTimeoutMs?: number;
  /**
   * How long a generation that was replaced stays for those who read it; the newest two stay in any case, and of more
   * than eight the oldest go at once. Default 600 000.
   */
  readonly graceMs?: number;
  /** The rows of a part of `readAll`. Default 1 000. */
  readonly rowsPerRead?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

const OWNER = 'createPostgresGenerations';
const DAY_MS = 86_400_000;
/** One for a caller that loads, and one for those who read meanwhile. */
const OWN_CONNECTIONS = 4;

const milliseconds = (absent: number, max: number): OptionRule<number> =>
  integer({ min: 1, max, default: absent });

const schema = {
  ...tablesSchema,
  database: databaseRule,
  url: urlRule,
  name: string({ maxLength: 60, default: 'postgres' }),
  timeoutMs: milliseconds(10_000, 3_600_000),
  publishTimeoutMs: milliseconds(60_000, 3_600_000),
  graceMs: integer({ min: 0, max: 30 * DAY_MS, default: 600_000 }),
  rowsPerRead: integer({ min: 1, max: 100_000, default: 1_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** What all parts of one store share. */
export interface PostgresStoreSettings extends Required<
  Omit<PostgresGenerationsOptions, 'database' | 'url' | 'schema'>
> {
  readonly connections: StoreConnections;
  readonly tables: Tables;
  /** @throws CatalogStoreError when the store was closed */
  readonly assertOpen: () => void;
}

/** @throws InvalidOptionError */
export function parsePostgresOptions(
  given: PostgresGenerationsOptions,
): Omit<PostgresStoreSettings, 'assertOpen'> {
  const { database, url, schema: within, ...settings } = parseOptions(OWNER, schema, given);
  const connections = openConnections(OWNER, { database, url }, OWN_CONNECTIONS);
  return {
    ...settings,
    connections,
    tables: tablesOf({ schema: within, prefix: settings.prefix }),
  };
}
