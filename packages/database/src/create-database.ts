import { assembleDatabase } from './assemble-database.ts';
import { connectPg } from './connection/connect-pg.ts';
import type { Database } from './database.ts';
import { type DatabaseOptions, parseDatabaseOptions } from './options.ts';

/**
 * Creates a database. Connections are opened when calls need them.
 * @throws InvalidOptionError
 */
export function createDatabase(given: DatabaseOptions): Database {
  const options = parseDatabaseOptions(given);
  return assembleDatabase(options, (address) => (call) => connectPg({ ...options, address }, call))
    .database;
}
