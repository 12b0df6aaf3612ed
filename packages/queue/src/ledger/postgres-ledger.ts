import { InvalidOptionError, objectWith, parseOptions, string } from '@holdfast/foundation';
import { EffectRolledBackError } from '../errors.ts';
import type { IdempotencyLedger } from './idempotency-ledger.ts';

/** A connection of a pool for the ledger and the effect; the clients of `pg` have these methods. */
export interface LedgerConnection {
  query(sql: string, values?: unknown[]): Promise<{ rowCount: number | null; command?: string }>;
  release(error?: Error | boolean): void;
}

/** The part of a pool that the ledger uses; `pg.Pool` has it. */
export interface LedgerPool<Connection extends LedgerConnection = LedgerConnection> {
  connect(): Promise<Connection>;
}

/** Options of `postgresLedger`. */
export interface PostgresLedgerOptions<Connection extends LedgerConnection> {
  /** A pool of `pg`, which lends a connection for the transaction of a job; the caller closes it. */
  client: LedgerPool<NoInfer<Connection>>;
  /** The inbox table: letters, digits, underscores, and at most one dot. Default `holdfast_inbox`. */
  table?: string;
}

/** A ledger in Postgres, which manages its table. */
export interface PostgresLedger<Connection> extends IdempotencyLedger<Connection> {
  /** Creates the table if it does not exist. */
  prepare(): Promise<void>;
  /**
   * Deletes entries of jobs that were handled longer ago. Choose an age after which no job is redelivered.
   * @returns the number of deleted entries.
   */
  forget(olderThanMs: number): Promise<number>;
}

const OWNER = 'postgresLedger';
const NAME = /^[a-z_]\w{0,62}(?:\.[a-z_]\w{0,62})?$/iu;

/**
 * Creates an inbox in the database of the effect. The entry of the job and the statements of the handler on its
 * connection commit in one transaction: each effect happens once, whichever process dies.
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
      'a name of letters, digits and underscores, optionally with a schema in front';
    throw new InvalidOptionError(OWNER, 'table', table, permitted);
  }

  const onConnection = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await client.connect();
    let isBroken = false;
    try {
      return await work(connection);
    } catch (error) {
      // The connection itself may have failed; one that cannot roll back must not be reused.
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
        // A second consumer with the same job waits here until the first transaction has ended.
        const { rowCount } = await connection.query(
          `INSERT INTO ${table} (topic, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
          [topic, id],
        );
        if (rowCount === 0) {
          await connection.query('ROLLBACK');
          return 'known';
        }
        await effect(connection);
        // Postgres answers the COMMIT of a failed transaction with ROLLBACK, without an error.
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
