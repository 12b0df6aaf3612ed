/** Generations and the lock of syncs in Postgres, by `@holdfast/database`. */
export type { PostgresSource } from './generations/postgres/connections.ts';
export type { PostgresGenerationsOptions } from './generations/postgres/options.ts';
export { createPostgresGenerations } from './generations/postgres/postgres-generations.ts';
export { type TablesOptions, postgresSchemaSql } from './generations/tables.ts';
export { type PostgresLockOptions, createPostgresLock } from './lock/postgres-lock.ts';
