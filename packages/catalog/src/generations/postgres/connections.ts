import type { Database } from '@holdfast/database';
import { Pool, type PoolClient } from '@holdfast/database/pg';
import { InvalidOptionError, type OptionRule, abortable } from '@holdfast/foundation';

/** Whose connections are used: one of the two. */
export interface PostgresSource {
  /**
   * A pool of `@holdfast/database/pg`, which loads with COPY, or a `Database` of `createDatabase`, which loads with
   * inserts of many rows. It stays the caller's to close.
   */
  readonly database?: Database | Pool;
  /** Such as `postgres://user:password@host:5432/name`: opens a pool of its own. */
  readonly url?: string;
}

/** The connections of one store or lock. */
export interface StoreConnections {
  readonly database: Database;
  /** For COPY; `undefined` where there is none. */
  readonly pool: Pool | undefined;
  /** Closes them if they are its own. */
  close(): Promise<void>;
}

export const databaseRule: OptionRule<Database | Pool | undefined> = {
  permitted: 'a pool of @holdfast/database/pg or a Database of @holdfast/database',
  parse(value, field, owner) {
    if (value instanceof Pool || isDatabase(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

export const urlRule: OptionRule<string | undefined> = {
  permitted: 'a postgres:// URL',
  parse(value, field, owner) {
    const isPostgres = typeof value === 'string' && /^postgres(ql)?:\/\//.test(value);
    if (isPostgres && URL.canParse(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

function isDatabase(value: unknown): value is Database {
  const methods = ['query', 'transaction', 'acquire'];
  if (typeof value !== 'object' || value === null) return false;
  return methods.every((method) => method in value) && !('connect' in value);
}

const CLOSE_WITHIN_MS = 1_000;

/** @throws InvalidOptionError */
export function openConnections(
  owner: string,
  { database, url }: { database: Database | Pool | undefined; url: string | undefined },
  max: number,
): StoreConnections {
  if ((database === undefined) === (url === undefined)) {
    const given = url === undefined ? undefined : 'given beside url';
    throw new InvalidOptionError(owner, 'database', given, 'given, or url instead of it');
  }
  if (url !== undefined) {
    const config = { connectionString: url, max, application_name: 'holdfast-catalog' };
    const pool = new Pool(config);
    const close = (): Promise<void> => pool.holdfast.close({ deadlineMs: CLOSE_WITHIN_MS });
    return { database: pool.holdfast, pool, close };
  }
  const close = async (): Promise<void> => undefined;
  if (database instanceof Pool) return { database: database.holdfast, pool: database, close };
  if (database === undefined) throw new TypeError('unreachable');
  return { database, pool: undefined, close };
}

/** A client of the pool; one that comes after the abort goes back at once. */
export async function connectBefore(pool: Pool, signal: AbortSignal): Promise<PoolClient> {
  const connecting: Promise<PoolClient> = pool.connect();
  return abortable(connecting, signal, () => {
    connecting.then(
      (client) => client.release(),
      () => undefined,
    );
  });
}
