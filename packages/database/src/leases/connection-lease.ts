import type { Clock } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import type { Lease, QueryOptions, QueryResult, Statement } from '../database.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import { LentLink } from './leased-connection.ts';
import { readStatement } from '../calls/statement.ts';

/** A link on loan until it is released. */
export class LinkLease implements Lease {
  readonly #link: LentLink;
  readonly #returned: () => void;
  readonly #told: (error: unknown) => unknown;

  /**
   * @param returned called once, when the link is given back.
   * @param told what a caller is told of an error.
   */
  constructor(
    slot: Slot,
    clock: Clock,
    queryTimeoutMs: number,
    returned: () => void,
    told: (error: unknown) => unknown,
  ) {
    this.#told = told;
    this.#link = new LentLink({ slot, clock, queryTimeoutMs, handle: 'lease' });
    this.#returned = returned;
  }

  get host(): string {
    return this.#link.slot.host;
  }

  get backendPid(): number {
    return this.#link.slot.link.backendPid;
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    statement: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const read = readStatement('lease.query', statement, values);
    try {
      return await this.#link.query<Row>(read, options, Infinity);
    } catch (error) {
      throw this.#told(error);
    }
  }

  release(broken = false): void {
    if (this.#link.ended) return;
    this.#link.end();
    this.#returned();
    this.#link.slot.release(broken);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}
