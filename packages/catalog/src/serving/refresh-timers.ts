import { type Clock, type Random, type Timer, exponentialBackoff } from '@holdfast/foundation';

interface RefreshTimersOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The age at which a generation is synced anew. */
  readonly refreshEveryMs: number;
  readonly pollEveryMs: number;
  readonly retry: { readonly initialDelayMs: number; readonly maxDelayMs: number };
  /** Looks for the generation of another process. Never rejects. */
  readonly poll: () => Promise<void>;
  /** Never rejects. */
  readonly refresh: () => Promise<void>;
}

/** Up to this share earlier, so that the processes of a fleet do not begin together. */
const EARLIER_SHARE = 0.1;
const MAX_DOUBLINGS = 20;

/** When a catalog looks for a newer generation by itself. No timer of it keeps the process alive. */
export class RefreshTimers {
  readonly #options: RefreshTimersOptions;
  #delays: Iterator<number>;
  #poll: Timer | undefined;
  #refresh: Timer | undefined;
  #working: Promise<void> = Promise.resolve();
  #isRefreshing = false;
  /** Whether another refresh will begin by itself. */
  #isScheduled = false;
  /** Whether the timer waits after a failure. */
  #isDelayed = false;
  #partialSyncs = 0;
  #isClosed = false;
  /** How long the last failure makes the next attempt wait. */
  retryAfterMs: number | undefined;

  constructor(options: RefreshTimersOptions) {
    this.#options = options;
    this.#delays = this.#newDelays();
  }

  /** Begins to poll; a second call does nothing. */
  startPolling(): void {
    if (this.#poll !== undefined || this.#isClosed) return;
    const { clock, random, pollEveryMs, poll } = this.#options;
    const delayMs = pollEveryMs * (1 - EARLIER_SHARE * random());
    const again = async (): Promise<void> => {
      await poll();
      this.#poll = undefined;
      this.startPolling();
    };
    this.#poll = clock.schedule(delayMs, () => void again(), { holdsProcess: false });
  }

  /** All is well with a generation of that age. */
  afterSuccess(ageMs: number): void {
    this.#delays = this.#newDelays();
    this.#partialSyncs = 0;
    this.#isDelayed = false;
    this.retryAfterMs = undefined;
    const { random, refreshEveryMs } = this.#options;
    const remainingMs = Math.max(0, refreshEveryMs - ageMs);
    this.#scheduleIn(remainingMs - refreshEveryMs * EARLIER_SHARE * random());
  }

  /** Some groups or places are missing: each time twice as long as before, and never sooner than the sync took. */
  afterPartial(durationMs: number): void {
    const { retry, refreshEveryMs } = this.#options;
    const delayMs = Math.max(retry.initialDelayMs, durationMs) * 2 ** this.#partialSyncs;
    this.#partialSyncs = Math.min(MAX_DOUBLINGS, this.#partialSyncs + 1);
    this.#delayBy(Math.min(delayMs, refreshEveryMs));
    this.#isDelayed = false;
  }

  /** @param minDelayMs such as what the API asks for, or what the attempt took: half of the time is free of it. */
  afterFailure(minDelayMs: number): void {
    const delayMs = this.#delays.next().value ?? this.#options.retry.maxDelayMs;
    this.#delayBy(Math.min(this.#options.refreshEveryMs, Math.max(delayMs, minDelayMs)));
  }

  /** What only a person can mend: not before it would be due anyway. */
  afterRefusal(): void {
    this.#delayBy(this.#options.refreshEveryMs);
  }

  /** Refreshes now, unless it does, or waits after a failure. */
  hurry(): void {
    if (!this.#isDelayed) this.#begin();
  }

  /** Resolves when what it has begun has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#poll?.cancel();
    this.#refresh?.cancel();
    await this.#working;
  }

  #newDelays(): Iterator<number> {
    const { random, retry } = this.#options;
    return exponentialBackoff({ ...retry, jitterFactor: 0.2 }).delays(random);
  }

  #delayBy(delayMs: number): void {
    this.#isDelayed = true;
    this.retryAfterMs = Math.ceil(delayMs);
    this.#scheduleIn(delayMs);
  }

  #scheduleIn(delayMs: number): void {
    this.#refresh?.cancel();
    if (this.#isClosed) return;
    this.#isScheduled = true;
    const begin = (): void => this.#begin();
    const { clock } = this.#options;
    this.#refresh = clock.schedule(Math.max(0, delayMs), begin, { holdsProcess: false });
  }

  #begin(): void {
    if (this.#isRefreshing || this.#isClosed) return;
    this.#isRefreshing = true;
    this.#isDelayed = false;
    this.#isScheduled = false;
    this.#refresh?.cancel();
    this.#working = this.#options.refresh().finally(() => {
      this.#isRefreshing = false;
      // It may have ended without a sync of its own.
      if (!this.#isScheduled) this.afterFailure(0);
    });
  }
}
