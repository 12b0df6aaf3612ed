/**
 * The interface of `pg` with this package's pool inside: code written for `pg`, such as an ORM or a job queue, runs
 * on it unchanged.
 */
import pg from 'pg';
import { Pool } from './pg/pool.ts';

type OwnPool = Pool;

export { Pool } from './pg/pool.ts';
export { PoolMisuseError } from './pg/errors.ts';
export {
  Client,
  Connection,
  DatabaseError,
  Query,
  Result,
  TypeOverrides,
  defaults,
  escapeIdentifier,
  escapeLiteral,
  types,
} from 'pg';

export type {
  ClientBase,
  ClientConfig,
  ConnectionConfig,
  CustomTypesConfig,
  FieldDef,
  Notification,
  PoolClient,
  PoolConfig,
  PoolOptions,
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryResult,
  QueryResultBase,
  QueryResultRow,
  Submittable,
} from 'pg';

/** pg's binding to libpq is not offered: its clients cannot be cancelled, nor their connections watched. */
export const native: null = null;

/** As `pg`'s own default export, with this package's `Pool`. */
const facade: Omit<typeof pg, 'Pool' | 'native'> & { Pool: typeof Pool; native: null } = {
  ...pg,
  Pool,
  native,
};

/** The types of `pg` by the same names, such as `pg.PoolClient`. */
declare namespace facade {
  type Client = pg.Client;
  type ClientBase = pg.ClientBase;
  type ClientConfig = pg.ClientConfig;
  type Connection = pg.Connection;
  type CustomTypesConfig = pg.CustomTypesConfig;
  type DatabaseError = pg.DatabaseError;
  type FieldDef = pg.FieldDef;
  type Notification = pg.Notification;
  type Pool = OwnPool;
  type PoolClient = pg.PoolClient;
  type PoolConfig = pg.PoolConfig;
  type PoolOptions = pg.PoolOptions;
  type Query = pg.Query;
  type QueryArrayConfig<Values = unknown[]> = pg.QueryArrayConfig<Values>;
  type QueryArrayResult<Row extends unknown[] = unknown[]> = pg.QueryArrayResult<Row>;
  type QueryConfig<Values = unknown[]> = pg.QueryConfig<Values>;
  type QueryResult<Row extends pg.QueryResultRow = pg.QueryResultRow> = pg.QueryResult<Row>;
  type QueryResultRow = pg.QueryResultRow;
  type Submittable = pg.Submittable;
}

export default facade;
