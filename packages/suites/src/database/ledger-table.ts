import type { Queryable } from '@holdfast/database';

/** The table has no key, so that a write applied twice shows up as two rows. */
export const LEDGER_SQL = 'create table ledger (entry int not null)';

interface Audit {
  readonly acknowledged: number;
  /** Acknowledged entries that are missing. */
  readonly lost: readonly number[];
  /** Entries stored more than once. */
  readonly duplicated: readonly number[];
  /** Stored entries that were reported as not applied. */
  readonly denied: readonly number[];
  /** Entries written with an unknown outcome, and how many of them are stored. */
  readonly unknown: { readonly written: number; readonly there: number };
}

/** Records the outcome that each writer received, and compares it with the table at the end. */
export class LedgerTable {
  readonly #acknowledged = new Set<number>();
  readonly #unknown = new Set<number>();
  readonly #denied = new Set<number>();
  #last = 0;

  next(): number {
    return (this.#last += 1);
  }

  /** Writes the next entry and records the outcome. */
  async write(insert: (entry: number) => Promise<unknown>): Promise<'done' | 'failed'> {
    const entry = this.next();
    try {
      await insert(entry);
      this.#acknowledged.add(entry);
      return 'done';
    } catch (error) {
      (outcomeOf(error) === 'not-applied' ? this.#denied : this.#unknown).add(entry);
      return 'failed';
    }
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  async audit(ask: (sql: string) => Promise<Record<string, unknown>[]>): Promise<Audit> {
    const rows = await ask('select entry, count(*)::int as times from ledger group by entry');
    const times = new Map(rows.map(({ entry, times: counted }) => [entry, Number(counted)]));
    const there = (entry: number): boolean => times.has(entry);
    return {
      acknowledged: this.#acknowledged.size,
      lost: [...this.#acknowledged].filter((entry) => !there(entry)),
      duplicated: [...times].filter(([, counted]) => counted > 1).map(([entry]) => Number(entry)),
      denied: [...this.#denied].filter(there),
      unknown: {
        written: this.#unknown.size,
        there: [...this.#unknown].filter(there).length,
      },
    };
  }
}

/** The statement that a ledger's writer sends. */
export function insertEntry(to: Queryable, entry: number): Promise<unknown> {
  return to.query('insert into ledger values ($1)', [entry]);
}

function outcomeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'outcome' in error
    ? error.outcome
    : undefined;
}
