import { randomUUID } from 'node:crypto';
import type { Statement } from '../database.ts';

/**
 * Creates the table that `resolveCommit` needs. Rows older than the longest transaction may be deleted at any
 * time, by the column `at`.
 */
export const markerTableSql: string =
  'create table if not exists holdfast_commit_marker (id uuid primary key, ' +
  'committed boolean not null, at timestamptz not null default now())';

/** A row that a transaction inserts, by which its outcome can be found later. */
export class CommitMarker {
  readonly #id: string = randomUUID();

  /** The last statement of the transaction. */
  get leave(): Statement {
    return {
      text: 'insert into holdfast_commit_marker (id, committed) values ($1, true)',
      values: [this.#id],
    };
  }

  /**
   * Inserts a tombstone in the row's place, waiting for the original transaction if it is still running. If the
   * row exists, the transaction was committed; if not, it can no longer commit. May be run again, because the
   * tombstone differs from the row. (`pg_xact_status` may mean another transaction's id after a crash.)
   */
  get tombstone(): Statement {
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
