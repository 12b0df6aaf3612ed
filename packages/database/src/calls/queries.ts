import type { QueryResultRow } from 'pg';
import type { QueryResult, Statement, Token } from '../database.ts';
import type { CallDeadline } from '@holdfast/foundation';
import { CURRENT_PLACE, tokenFrom } from '../lsn.ts';
import { READ_ONLY, sqlStateOf } from '../connection/sql-state.ts';
import { LinkFailure } from '../connection/connection.ts';
import { Interruption } from '../pool/in-flight-query.ts';
import { Slot } from '../pool/pooled-connection.ts';
import type { CallCounts } from './call-counts.ts';
import { explain, lostForGood } from './to-database-error.ts';
import type { Route } from '../hosts/host-router.ts';

/** Where a statement's link is taken from. */
export type Take = (limit: CallDeadline) => Slot | Promise<Slot>;

/** How often a write is brought to another host because the one it reached is a standby. */
const MAX_REDIRECTIONS = 3;

/** Runs single statements, each on a link of its own. */
export class Queries {
  readonly #route: Route;
  readonly #counts: CallCounts;
  readonly #writable: Take;

  constructor(route: Route, counts: CallCounts) {
    this.#route = route;
    this.#counts = counts;
    this.#writable = (limit) => route.writable(limit);
  }

  /**
   * What never reached a socket is sent again; what may have run is sent again, if it is idempotent, as
   * {@link mayReplay} says.
   * @throws as `Queryable.query`
   */
  run<Row extends QueryResultRow>(
    statement: Statement,
    limit: CallDeadline,
    idempotent: boolean,
    take: Take = this.#writable,
  ): Promise<QueryResult<Row>> {
    return this.#through(limit, idempotent, take, (slot) => slot.run<Row>(statement, limit));
  }

  /**
   * As {@link run} at a primary, with a place in the log behind all that the statement has written or seen; in
   * the same message, so that it costs no round trip.
   */
  runPlaced<Row extends QueryResultRow>(
    statement: Statement,
    limit: CallDeadline,
    idempotent: boolean,
    take: Take = this.#writable,
  ): Promise<{ readonly result: QueryResult<Row>; readonly token: Token }> {
    return this.#through(limit, idempotent, take, async (slot) => {
      slot.lastSql = statement.text;
      const { result, behind } = await slot.during(
        () => slot.link.runThen<Row>(statement, CURRENT_PLACE),
        limit,
      );
      return { result, token: tokenFrom(behind?.rows[0]) };
    });
  }

  async #through<T>(
    limit: CallDeadline,
    idempotent: boolean,
    take: Take,
    exchange: (slot: Slot) => Promise<T>,
  ): Promise<T> {
    this.#counts.queries += 1;
    let lost: FirstLoss | undefined;
    let redirections = 0;
    while (true) {
      let slot: Slot;
      try {
        const taken = take(limit);
        slot = taken instanceof Slot ? taken : await taken;
      } catch (error) {
        if (lost === undefined || limit.cancellation?.kind === 'signal') throw error;
        throw lostForGood(lost.failure, lost.host, error);
      }
      const { host } = slot;
      try {
        return await exchange(slot);
      } catch (error) {
        if (isLost(error) && (!error.sent || (idempotent && mayReplay(slot, lost)))) {
          if (error.sent) {
            lost ??= { failure: error, host, atMs: slot.heardMs };
            this.#counts.replays += 1;
          }
          continue;
        }
        if (redirections < MAX_REDIRECTIONS && this.#isMisdirected(error, host)) {
          redirections += 1;
          continue;
        }
        if (error instanceof Interruption && error.over.kind === 'deadline') {
          this.#counts.queryTimeouts += 1;
        }
        const { timeoutMs } = limit;
        const mayHaveRun = lost !== undefined;
        throw explain(error, { host, timeoutMs, inTransaction: false, mayHaveRun });
      } finally {
        slot.release();
      }
    }
  }

  #isMisdirected(error: unknown, host: string): boolean {
    return (
      error instanceof LinkFailure &&
      sqlStateOf(error.error) === READ_ONLY &&
      this.#route.notWritable(host)
    );
  }
}

/** The link a statement was first lost with. */
interface FirstLoss {
  readonly failure: LinkFailure;
  readonly host: string;
  readonly atMs: number;
}

/**
 * After its first loss a statement is sent once more. Links that stood at that moment do not count: a server that
 * goes down takes them along one after the other, and each of them can be lost only once.
 */
export function mayReplay(slot: Slot, first: { readonly atMs: number } | undefined): boolean {
  return first === undefined || slot.bornMs <= first.atMs;
}

function isLost(error: unknown): error is LinkFailure {
  return error instanceof LinkFailure && error.kind === 'lost';
}
