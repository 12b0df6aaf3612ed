import { InvalidOptionError, objectWith, parseOptions, string } from '@holdfast/foundation';
import { EffectRolledBackError } from '../errors.ts';
import type { IdempotencyLedger } from './idempotency-ledger.ts';

/** One connection of a pool, as the ledger and the effect need it; one of `pg` has it. */
export interface LedgerConnection {
  query(sql: string, values?: unknown[]): Promise<{ rowCount: number | null; command?: string }>;
  release(error?: Error | boolean): void;
}

/** As much of a pool as the ledger needs; `pg.Pool` has it. */
export interface LedgerPool<Connection extends LedgerConnection = LedgerConnection> {
  connect(): Promise<Connection>;
}

export interface PostgresLedgerOptions<Connection extends LedgerConnection> {
  client: LedgerPool<NoInfer<Connection>>;
  /** The inbox, of letters, digits, underscores and one dot at most. Default `holdfast_inbox`. */
  table?: string;
}

/** A ledger in Postgres, and the table it needs. */
export interface PostgresLedger<Connection> extends IdempotencyLedger<Connection> {
  /** Makes the table where it is missing. */
  prepare(): Promise<void>;
  /**
   * Forgets jobs that were handled longer ago; never so few that one could still be handed out again.
   * @returns how many it forgot.
   */
  forget(olderThanMs: number): Promise<number>;
}

const OWNER = 'postgresLedger';
const NAME = /^[a-z_]\w{0,62}(?:\.[a-z_]\w{0,62})?$/iu;

/**
 * An inbox in the database of the effect. The job's entry and all that the handler does on the connection
 * it is given become true in one transaction: each job's effect happens once, whatever dies.
 * @throws InvalidOptionError
 */
export function postgresLedger<Connection extends LedgerConnection = LedgerConnection>(
  options: PostgresLedgerOptions<Connection>,
): PostgresLedger<Connection> {
  const shape = {
    client: objectWith<LedgerPool<Connection>>(['connect']),
    table: string({ maxLength: 127, default: 'holdfast_inbox' }),
  };
  const { client, table } = parseOptions(OWNER, shape, options);
  if (!NAME.test(table)) {
    const permitted =
      'a name of letters, digits and underscores, with a schema in front or without';
    throw new InvalidOptionError(OWNER, 'table', table, permitted);
  }

  const onConnection = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await client.connect();
    let isBroken = false;
    try {
      return await work(connection);
    } catch (error) {
      // The connection may be what failed; one that cannot roll back is of no use to anybody.
      isBroken = await connection.query('ROLLBACK').then(
        () => false,
        () => true,
      );
      throw error;
    } finally {
      connection.release(isBroken);
    }
  };

  return {
    once: ({ topic, id }, effect) =>
      onConnection(async (connection) => {
        await connection.query('BEGIN');
        // A second consumer with the same job waits here until the first one's transaction has ended.
        const { rowCount } = await connection.query(
          `INSERT INTO ${table} (topic, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
          [topic, id],
        );
        if (rowCount === 0) {
          await connection.query('ROLLBACK');
          return 'known';
        }
        await effect(connection);
        // Postgres answers the COMMIT of a transaction that had failed with ROLLBACK, and no error.
        const { command } = await connection.query('COMMIT');
        if (command === 'ROLLBACK') throw new EffectRolledBackError(topic, id);
        return 'applied';
      }),
    prepare: () =>
      onConnection(async (connection) => {
        await connection.query(
          `CREATE TABLE IF NOT EXISTS ${table} (topic text NOT NULL, id text NOT NULL, ` +
            'handled_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (topic, id))',
        );
      }),
    forget: (olderThanMs) =>
      onConnection(async (connection) => {
        const { rowCount } = await connection.query(
          `DELETE FROM ${table} WHERE handled_at < now() - $1 * interval '1 millisecond'`,
          [olderThanMs],
        );
        return rowCount ?? 0;
      }),
  };
}
