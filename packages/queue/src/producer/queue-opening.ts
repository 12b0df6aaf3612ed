// Not the global one, which a test may fake: a real turn has to pass.
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Emitter,
  RetriedOpening,
  describeThrown,
  isHoldfastError,
  settlesWithin,
} from '@holdfast/foundation';
import type { BackendFailure, ConnectionListener, QueueBackend } from '../backend.ts';
import { FallbackNotReadyError, QueueClosedError } from '../errors.ts';
import { createAbsentJournal } from '../fallback/absent-journal.ts';
import { Backlog } from '../fallback/backlog.ts';
import {
  type FallbackStores,
  type JournalFactory,
  openFallback,
} from '../fallback/open-fallback.ts';
import { PoisonStore } from '../fallback/poison-store.ts';
import type { ResolvedQueueOptions } from '../options.ts';
import type { RemainingDelays } from '../state/remaining-delays.ts';
import { Backpressure } from './backpressure.ts';
import { OpeningLine } from './opening-line.ts';
import { Producer } from './producer.ts';
import type { Acceptor, FallbackFailure, QueueEvents, QueueStats } from '../queue.ts';
import type { Submission } from '../state/pending-job.ts';

/** The producing half of a queue, once its journal is open. */
export interface Opened {
  readonly backlog: Backlog;
  readonly producer: Producer;
  readonly poison: PoisonStore;
  readonly backpressure: Backpressure;
}

interface QueueOpeningDeps {
  readonly backend: QueueBackend;
  readonly options: ResolvedQueueOptions;
  readonly journals: JournalFactory;
  readonly events: Emitter<QueueEvents>;
  readonly fallback: Exclude<Acceptor, 'redis'>;
  readonly delays: RemainingDelays;
}

/** A journal that could not be opened is opened again this often, besides at each call. */
const REOPEN_MS = 1_000;
/** With `whenUnavailable: 'redis'`, how long jobs wait for the journal at most. */
const DO_WITHOUT_AFTER_MS = 250;
const NEVER = new AbortController().signal;

/**
 * Opens the journal, again and again until it is open, and what stands on it. Jobs wait meanwhile; or, with
 * `whenUnavailable: 'redis'`, they go to Redis by a producer whose journal refuses everything:
 *
 *     opening ───────────────────────────────────────▶ open
 *        └─ refused, or not open soon ─▶ without ──────▲
 *                                        journal    open, and its jobs are settled
 */
export class QueueOpening {
  readonly connection = { up: false, failedAttempts: 0, connects: 0 };
  readonly #deps: QueueOpeningDeps;
  readonly #opening: RetriedOpening<Opened>;
  readonly #line: OpeningLine;
  readonly #closing = new AbortController();
  #opened: Opened | undefined;
  /** Set once the journal is open and earlier callers have submitted their jobs. */
  #backpressure: Backpressure | undefined;
  /** What jobs are submitted to while the journal cannot be opened. */
  #standIn: Promise<Opened> | undefined;
  /** The same, once it is in use. */
  #withoutJournal: Promise<Opened> | undefined;
  /** The policy by which the store may evict keys, if it may. */
  #evictionPolicy: string | undefined;
  #isJournalOpen = false;
  #isBackendOpen = false;
  #isClosed = false;
  #lastFailure: BackendFailure | undefined;

  constructor(deps: QueueOpeningDeps) {
    const { fallback, tuning } = deps.options;
    const { clock } = tuning;
    this.#deps = deps;
    this.#line = new OpeningLine(tuning);
    this.#opening = new RetriedOpening(
      () => {
        const opening = this.#open();
        // Registered first: calls to `enqueue` from then on stay behind those that waited for the journal.
        opening.then(
          ({ backpressure }) => {
            this.#backpressure = backpressure;
          },
          () => undefined,
        );
        return opening;
      },
      { clock, retryMs: REOPEN_MS },
    );
    if (fallback === 'memory' || fallback.whenUnavailable === 'reject') return;
    this.#standIn = this.#doWithout();
  }

  get opened(): Opened | undefined {
    return this.#opened;
  }

  /** Where jobs are submitted without waiting; `undefined` while the journal is not open. */
  get backpressure(): Backpressure | undefined {
    return this.#backpressure;
  }

  /** Why the fallback accepts nothing at the moment, as far as is known. */
  get failure(): FallbackFailure | undefined {
    const { failure } = this.#opening;
    if (failure === undefined) return this.#opened?.backlog.failure;
    return isHoldfastError(failure)
      ? { code: failure.code, message: failure.message }
      : { code: 'JOURNAL_UNAVAILABLE', message: describeThrown(failure) };
  }

  get evictionPolicy(): string | undefined {
    return this.#evictionPolicy;
  }

  /** @throws the error of the journal, unless jobs may go to Redis without it */
  whenOpened(): Promise<Opened> {
    return this.#standIn ?? this.#opening.get();
  }

  /**
   * Submits jobs as soon as the journal is open.
   * @throws QueueFullError when as many wait as may; the error of the journal
   */
  submit<Result>(
    jobs: readonly Submission[],
    signal: AbortSignal | undefined,
    submit: (backpressure: Backpressure) => Promise<Result>,
  ): Promise<Result> {
    if (this.#backpressure !== undefined) return submit(this.#backpressure);
    return this.#line.submit(this.whenOpened(), jobs, signal, ({ backpressure }) =>
      submit(backpressure),
    );
  }

  /**
   * Opens nothing more. An opening in progress is waited for, because jobs may wait for it, until the signal aborts.
   * @returns what is open, so that it can be closed.
   */
  async close(giveUp: AbortSignal): Promise<Opened | undefined> {
    this.#isClosed = true;
    const abort = (): void => this.#closing.abort(new QueueClosedError('enqueue'));
    giveUp.addEventListener('abort', abort, { once: true });
    return (await this.#opening.close()) ?? this.#withoutJournal;
  }

  async #open(): Promise<Opened> {
    const { options, journals } = this.#deps;
    const stores = await openFallback(options, journals, this.#closing.signal);
    this.#isJournalOpen = true;
    const former = await this.#withoutJournal;
    if (former === undefined) return this.#openWith(stores);
    // New jobs wait in line until those that were sent without a journal are settled.
    this.#standIn = undefined;
    // Calls that were given the stand-in submit their jobs in this turn.
    await nextTurn();
    await former.producer.settle(false, NEVER);
    const opened = await this.#openWith(stores, former);
    former.backpressure.continueWith(opened.producer);
    // A line whose wait for room ended meanwhile.
    await former.producer.settle(false, NEVER);
    opened.producer.state.counts.acceptedByRedis += former.producer.state.counts.acceptedByRedis;
    await former.producer.handOver();
    return opened;
  }

  async #doWithout(): Promise<Opened> {
    await settlesWithin(this.#deps.options.tuning.clock, DO_WITHOUT_AFTER_MS, this.#opening.get());
    if (this.#isJournalOpen || this.#isClosed) return this.#opening.get();
    const journal = createAbsentJournal(() => {
      const { failure } = this.#opening;
      return isHoldfastError(failure) ? failure : new FallbackNotReadyError(failure);
    });
    const poison = new PoisonStore({ open: async () => journal, maxJobs: 1 });
    this.#withoutJournal = this.#openWith({ journal, poison });
    return this.#withoutJournal;
  }

  async #openWith({ journal, poison }: FallbackStores, former?: Opened): Promise<Opened> {
    const { backend, events, fallback, delays, options } = this.#deps;
    const { tuning } = options;
    const backlog = new Backlog({
      journal,
      clock: tuning.clock,
      // A memory fallback retains nothing: the resend buffers hold the confirmed jobs in memory already.
      retainMs: fallback === 'memory' ? 0 : tuning.retainMs,
      onShed: tuning.backpressure === 'shed-oldest' ? (jobs) => this.#emitShed(jobs) : undefined,
      onLost: (jobs, { code, message: error }) =>
        events.emit('fallback-lost', { jobs, code, error, atMs: tuning.clock.now() }),
    });
    const stores = { backend, fallback, delays, backlog, poison };
    const producer = new Producer({ ...tuning, ...stores, events, former: former?.producer.state });
    try {
      await producer.open();
    } catch (error) {
      await Promise.allSettled([backlog.close(), poison.close()]);
      throw error;
    }
    const backpressure = former?.backpressure ?? new Backpressure(producer, tuning);
    this.#opened = { backlog, producer, poison, backpressure };
    if (!this.#isBackendOpen) {
      this.#isBackendOpen = true;
      backend.open(this.#connectionListener());
    } else if (this.connection.up) producer.monitor.connected();
    else if (this.#lastFailure !== undefined) producer.monitor.failed(this.#lastFailure);
    return this.#opened;
  }

  #emitShed({ length: jobs }: readonly unknown[]): void {
    const { events, options } = this.#deps;
    if (this.#opened !== undefined) this.#opened.producer.state.counts.shed += jobs;
    events.emit('shed', { jobs, atMs: options.tuning.clock.now() });
  }

  #connectionListener(): ConnectionListener {
    const { events, options } = this.#deps;
    const { clock } = options.tuning;
    const failed = (error: BackendFailure): void => {
      this.#lastFailure = error;
      this.#opened?.producer.monitor.failed(error);
    };
    return {
      connected: ({ attempt }) => {
        this.connection.up = true;
        this.connection.connects += 1;
        events.emit('connected', { attempt, atMs: clock.now() });
        this.#opened?.producer.monitor.connected();
      },
      attemptFailed: ({ attempt, delayMs, error }) => {
        this.connection.failedAttempts += 1;
        const { errorClass, message } = error;
        const seen = { errorClass, error: message, atMs: clock.now() };
        events.emit('reconnecting', { attempt, delayMs, ...seen });
        failed(error);
      },
      disconnected: ({ error }) => {
        this.connection.up = false;
        const { errorClass, message } = error;
        events.emit('disconnected', { errorClass, error: message, atMs: clock.now() });
        failed(error);
      },
      evictionPolicy: ({ policy }) => {
        this.#evictionPolicy = policy === 'noeviction' ? undefined : policy;
        if (policy === 'noeviction') return;
        events.emit('eviction-possible', { policy, atMs: clock.now() });
      },
    };
  }
}

/** The part of the statistics that tells of the fallback's failure. */
export function fallbackFailureOf({ failure }: QueueOpening): Pick<QueueStats, 'fallbackFailure'> {
  return failure === undefined ? {} : { fallbackFailure: failure };
}

/** The part of the statistics that tells whether the store may evict keys. */
export function evictionPolicyOf({
  evictionPolicy,
}: QueueOpening): Pick<QueueStats, 'evictionPolicy'> {
  return evictionPolicy === undefined ? {} : { evictionPolicy };
}
