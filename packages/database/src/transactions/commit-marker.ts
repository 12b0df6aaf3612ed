import { randomUUID } from 'node:crypto';
import type { Statement } from '../database.ts';

/**
 * Makes the table that `resolveCommit` needs. Rows older than the longest transaction may be deleted at any
 * time; `at` is there for that.
 */
export const markerTableSql: string =
  'create table if not exists holdfast_commit_marker (id uuid primary key, ' +
  'committed boolean not null, at timestamptz not null default now())';

/** The row that a transaction leaves, so that whether it was committed can be looked up. */
export class CommitMarker {
  readonly #id: string = randomUUID();

  /** To be run inside the transaction, last. */
  get leave(): Statement {
    return {
      text: 'insert into holdfast_commit_marker (id, committed) values ($1, true)',
      values: [this.#id],
    };
  }

  /**
   * Puts a tombstone where the row should be. It waits for an original that is still running; where the row is
   * there the transaction was committed, and where it is not it never can be any more. May be run again:
   * the tombstone tells itself from the row. (What `pg_xact_status` says of an id may be another
   * transaction's after a crash.)
   */
  get settle(): Statement {
    return {
      text:
        'insert into holdfast_commit_marker (id, committed) values ($1, false) ' +
        'on conflict (id) do nothing',
      values: [this.#id],
    };
  }

  get read(): Statement {
    return {
      text: 'select committed from holdfast_commit_marker where id = $1',
      values: [this.#id],
    };
  }
}
