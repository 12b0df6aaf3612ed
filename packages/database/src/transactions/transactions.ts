import type { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Emitter,
  type Clock,
  CallDeadline,
  type Cancellation,
  type Random,
  sleep,
} from '@holdfast/foundation';
import type { TransactionResult, Transaction, TransactionOptions } from '../database.ts';
import {
  CommitRolledBackError,
  ConnectionLostError,
  QueryFailedError,
  TransactionEndedError,
} from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import { UNKNOWN_PLACE } from '../lsn.ts';
import { READ_ONLY, inWords, isConflict } from '../connection/sql-state.ts';
import { LinkFailure } from '../connection/connection.ts';
import { Interruption } from '../pool/in-flight-query.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import type { CallCounts } from '../calls/call-counts.ts';
import { type Committed, commit } from './commit.ts';
import { CommitMarker } from './commit-marker.ts';
import { explain } from '../calls/to-database-error.ts';
import type { LeakWatch } from '../leases/leak-detector.ts';
import { LentLink } from '../leases/leased-connection.ts';
import { OpenTransaction, type TransactionGround } from './open-transaction.ts';
import type { Queries } from '../calls/queries.ts';
import type { Route } from '../hosts/host-router.ts';
import { checkWork } from '../calls/statement.ts';
import {
  type TransactionSettings,
  beginOf,
  readTransactionOptions,
} from './transaction-options.ts';

export interface TransactionsOptions {
  readonly route: Route;
  readonly queries: Queries;
  readonly leaks: LeakWatch;
  readonly counts: CallCounts;
  readonly events: Emitter<DatabaseEvents>;
  readonly clock: Clock;
  readonly random: Random;
  readonly queryTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  /** Holds the transaction on whose behalf code runs. */
  readonly current: AsyncLocalStorage<{ open: boolean }>;
}

/** How one run of the callback ended. `again`: nothing of it was kept, and it may be run once more. */
type Run<T> =
  | { readonly at: 'committed'; readonly transacted: TransactionResult<T> }
  | { readonly at: 'failed'; readonly error: unknown; readonly again: boolean };

const FIRST_DELAY_MS = 5;
const LONGEST_DELAY_MS = 500;

/** Runs callbacks in transactions, and again where the server asks for it. */
export class Transactions {
  readonly #options: TransactionsOptions;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  async run<T>(
    work: (tx: Transaction) => Promise<T> | T,
    given: TransactionOptions | undefined,
  ): Promise<TransactionResult<T>> {
    checkWork('transaction', work);
    const settings = readTransactionOptions(given);
    const { clock, counts, random, transactionTimeoutMs } = this.#options;
    const { timeoutMs = transactionTimeoutMs, signal } = settings;
    const limit = new CallDeadline(clock, timeoutMs, signal === undefined ? undefined : [signal]);
    counts.transactions += 1;
    try {
      for (let attempt = 1; ; attempt += 1) {
        const run = await this.#once(work, settings, limit, attempt);
        if (run.at === 'committed') return run.transacted;
        if (!run.again || attempt > settings.maxRetries || limit.cancellation !== undefined)
          throw run.error;
        counts.transactionRetries += 1;
        const longestMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
        await this.#pause(random() * longestMs, settings.signal, limit, run.error);
      }
    } finally {
      limit.release();
    }
  }

  /** @throws the error of the last run when its time is over, or the signal's reason. */
  async #pause(
    delayMs: number,
    signal: AbortSignal | undefined,
    limit: CallDeadline,
    error: unknown,
  ): Promise<void> {
    if (delayMs >= limit.remainingMs()) throw error;
    await sleep(this.#options.clock, delayMs, signal);
  }

  async #once<T>(
    work: (tx: Transaction) => Promise<T> | T,
    settings: TransactionSettings,
    limit: CallDeadline,
    attempt: number,
  ): Promise<Run<T>> {
    const slot = await this.#options.route.writable(limit);
    const returned = this.#options.leaks.lent(slot);
    try {
      return await this.#on(slot, work, settings, limit, attempt);
    } finally {
      returned();
      slot.release();
    }
  }

  async #on<T>(
    slot: Slot,
    work: (tx: Transaction) => Promise<T> | T,
    settings: TransactionSettings,
    limit: CallDeadline,
    attempt: number,
  ): Promise<Run<T>> {
    const { host } = slot;
    const { timeoutMs } = limit;
    try {
      await slot.run({ text: beginOf(settings) }, limit);
    } catch (error) {
      // Nothing of the caller's has been sent yet.
      const again = error instanceof LinkFailure && error.kind === 'lost';
      return {
        at: 'failed',
        error: explain(error, { host, timeoutMs, inTransaction: true }),
        again,
      };
    }
    const { clock, queryTimeoutMs } = this.#options;
    const ending = new AbortController();
    const { signal } = ending;
    const link = new LentLink({ slot, clock, queryTimeoutMs, handle: 'transaction', signal });
    const ground: TransactionGround = {
      link,
      limit,
      attempt,
      signal,
      savepoints: 0,
      conflicted: false,
    };
    const marker = settings.resolveCommit ? new CommitMarker() : undefined;
    let value: T;
    try {
      value = await this.#work(ground, ending, work, marker);
    } catch (error) {
      const isLost = !slot.link.alive;
      await this.#rollBack(slot, limit);
      const isStandby =
        error instanceof QueryFailedError &&
        error.sqlState === READ_ONLY &&
        this.#options.route.notWritable(host);
      const again = ground.conflicted || isStandby || (isLost && settings.rerunOnLoss);
      return { at: 'failed', error, again };
    }
    const committed = await commit(slot, limit);
    return this.#judge(committed, { value, ground, settings, marker, limit });
  }

  /** Runs the callback for as long as its link stands and its time lasts. */
  async #work<T>(
    ground: TransactionGround,
    ending: AbortController,
    work: (tx: Transaction) => Promise<T> | T,
    marker: CommitMarker | undefined,
  ): Promise<T> {
    const { link, limit } = ground;
    const { slot } = link;
    const { current } = this.#options;
    const tx = new OpenTransaction(ground);
    const scope = { open: true };
    const aborted = new Promise<never>((_, reject) => {
      const abort = (reason: unknown): void => {
        link.end(reason);
        reject(reason);
        ending.abort(reason);
      };
      limit.current = { cancel: (over) => abort(overIn(over, slot.host, limit.timeoutMs)) };
      slot.onDeath = (error) => abort(lostIn(slot.host, error));
      if (limit.cancellation !== undefined)
        abort(overIn(limit.cancellation, slot.host, limit.timeoutMs));
      else if (!slot.link.alive) abort(lostIn(slot.host));
    });
    try {
      const working = current.run(scope, async () => work(tx));
      const value = await Promise.race([working, aborted]);
      await Promise.race([link.quiet(), aborted]);
      if (link.ended) throw new TransactionEndedError('transaction');
      if (marker !== undefined) {
        await Promise.race([link.query(marker.leave, undefined, limit.remainingMs()), aborted]);
      }
      return value;
    } finally {
      scope.open = false;
      tx.end();
      link.end();
      limit.current = undefined;
      slot.onDeath = undefined;
    }
  }

  async #judge<T>(
    committed: Committed,
    { value, ground, settings, marker, limit }: Finished<T>,
  ): Promise<Run<T>> {
    if (committed.at === 'committed') {
      return { at: 'committed', transacted: { value, token: committed.token } };
    }
    const { error } = committed;
    if (committed.at === 'refused') {
      const isConflicted =
        (error instanceof QueryFailedError && isConflict(error.sqlState)) ||
        (error instanceof CommitRolledBackError && ground.conflicted);
      return { at: 'failed', error, again: isConflicted };
    }
    const isThere = committed.isLost ? await this.#lookUp(marker, limit) : undefined;
    if (isThere === undefined) {
      this.#options.counts.commitsUnknown += 1;
      return { at: 'failed', error, again: false };
    }
    if (isThere) return { at: 'committed', transacted: { value, token: UNKNOWN_PLACE } };
    return {
      at: 'failed',
      error: lostIn(ground.link.slot.host, error),
      again: settings.rerunOnLoss,
    };
  }

  /** @returns whether the transaction was committed; `undefined` when it was not to be found out in time. */
  async #lookUp(
    marker: CommitMarker | undefined,
    limit: CallDeadline,
  ): Promise<boolean | undefined> {
    if (marker === undefined) return undefined;
    const { queries, counts, events, clock } = this.#options;
    try {
      await queries.run(marker.settle, limit, true);
      const { rows } = await queries.run<{ committed: unknown }>(marker.read, limit, true);
      const committed = rows[0]?.committed;
      if (typeof committed !== 'boolean') return undefined;
      counts.commitsResolved += 1;
      events.emit('commit-resolved', { committed, atMs: clock.now() });
      return committed;
    } catch {
      return undefined;
    }
  }

  /** What the server would do anyway when the link comes back open; done before the caller hears. */
  async #rollBack(slot: Slot, limit: CallDeadline): Promise<void> {
    if (!slot.link.alive || slot.occupied || limit.cancellation !== undefined) return;
    try {
      await slot.run({ text: 'rollback' }, limit);
    } catch {
      // The pool finds the link as it is, and ends what is open on it or cuts it.
    }
  }
}

/** What is at hand when COMMIT has been sent. */
interface Finished<T> {
  readonly value: T;
  readonly ground: TransactionGround;
  readonly settings: TransactionSettings;
  readonly marker: CommitMarker | undefined;
  readonly limit: CallDeadline;
}

function overIn(over: Cancellation, host: string, timeoutMs: number): unknown {
  return explain(new Interruption(over, true), { host, timeoutMs, inTransaction: true });
}

function lostIn(host: string, cause?: unknown): ConnectionLostError {
  const seen = cause === undefined ? '' : ` (${inWords(cause)})`;
  const message = `the link to ${host} was lost${seen}; the transaction was not committed`;
  return new ConnectionLostError(message, {
    cause,
    phase: 'sent',
    outcome: 'not-applied',
    retryable: true,
    host,
  });
}
