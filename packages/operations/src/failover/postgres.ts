import { FencedError } from './errors.ts';
import type { FailoverCallOptions, FailoverMember } from './failover.ts';

/** Runs one statement; `pg`'s client or pool with a deadline from the signal, or anything like it. */
export type PostgresQuery = (
  sql: string,
  parameters: readonly unknown[],
  options: FailoverCallOptions,
) => Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;

/** The table that holds the epoch; made on the primary by {@link PostgresMember.prepare}. */
const TABLE = 'holdfast_failover_epoch';
const PROMOTE_WAIT_S = 30;

const STATUS = `select pg_is_in_recovery() as replica,
  (select epoch from ${TABLE}) as epoch,
  coalesce((select is_fenced from ${TABLE}), false) as fenced,
  pg_wal_lsn_diff(case when pg_is_in_recovery()
    then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    else pg_current_wal_flush_lsn() end, '0/0')::text as position`;

/** A Postgres server as a member. */
export interface PostgresMember extends FailoverMember {
  /** Makes the table with the first epoch, on the primary. Harmless to repeat. */
  prepare(epoch: number, options: FailoverCallOptions): Promise<void>;
}

/**
 * A member that fences by a table in the database itself: every transaction of {@link assertPostgresEpoch} sees it.
 * Sessions that do not ask are ended, and new ones are read-only unless they say otherwise.
 * @param query runs a statement in one session of its own, not of a pool, as a role that may `alter system`.
 */
export function postgresMember(id: string, query: PostgresQuery): PostgresMember {
  const one = async (sql: string, parameters: readonly unknown[], options: FailoverCallOptions) =>
    (await query(sql, parameters, options)).rows[0] ?? {};
  return {
    id,
    async prepare(epoch, options) {
      await query(
        `create table if not exists ${TABLE} (id int primary key check (id = 1), epoch bigint not null, is_fenced boolean not null)`,
        [],
        options,
      );
      const insert = `insert into ${TABLE} values (1, $1, false) on conflict (id) do nothing`;
      await query(insert, [epoch], options);
    },
    async status(options) {
      const row = await one(STATUS, [], options);
      return {
        role: row['replica'] === true ? 'replica' : 'primary',
        epoch: Number(row['epoch'] ?? 0),
        isFenced: row['replica'] !== true && row['fenced'] === true,
        position: Number(row['position']),
      };
    },
    async fence(epoch, options) {
      await openForWriting(query, options);
      // Waits for the writers that hold the row, and no later one gets past it.
      const row = await one(
        `update ${TABLE} set epoch = greatest(epoch, $1), is_fenced = true
          where id = 1 and epoch <= $1 returning epoch`,
        [epoch],
        options,
      );
      if (row['epoch'] === undefined) throw new FencedError(`the server ${id}`, epoch);
      await query('alter system set default_transaction_read_only = on', [], options);
      await query('select pg_reload_conf()', [], options);
      const others = `select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid()`;
      await query(others, [], options);
    },
    async promote(epoch, options) {
      const before = await one(STATUS, [], options);
      if (Number(before['epoch'] ?? 0) >= epoch) throw new FencedError(`the server ${id}`, epoch);
      if (before['replica'] === true) {
        await query(`select pg_promote(true, ${PROMOTE_WAIT_S})`, [], options);
      }
      await openForWriting(query, options);
      await query('alter system reset default_transaction_read_only', [], options);
      await query('select pg_reload_conf()', [], options);
      const row = await one(
        `update ${TABLE} set epoch = $1, is_fenced = false
          where id = 1 and epoch < $1 and not pg_is_in_recovery() returning epoch`,
        [epoch],
        options,
      );
      if (row['epoch'] === undefined) throw new FencedError(`the server ${id}`, epoch);
    },
  };
}

/** Also where sessions are read-only, and without waiting for a replica that may be away. */
async function openForWriting(query: PostgresQuery, options: FailoverCallOptions): Promise<void> {
  await query('set default_transaction_read_only = off', [], options);
  await query('set synchronous_commit = local', [], options);
}

/**
 * The check of a writer, first in its transaction: it holds the fence back until the transaction ends.
 * @param query runs a statement in the writer's transaction.
 * @throws FencedError when another epoch is current, or the server is fenced
 */
export async function assertPostgresEpoch(
  query: (
    sql: string,
    parameters: readonly unknown[],
  ) => Promise<{ readonly rows: readonly unknown[] }>,
  epoch: number,
): Promise<void> {
  const sql = `select 1 from ${TABLE} where id = 1 and epoch = $1 and not is_fenced for share`;
  const { rows } = await query(sql, [epoch]);
  if (rows.length === 0) throw new FencedError('the database', epoch);
}
