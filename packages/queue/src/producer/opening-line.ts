import { type Clock, abortable } from '@holdfast/foundation';
import { QueueFullError } from '../errors.ts';
import type { Submission } from '../state/pending-job.ts';
import { PendingLimits } from '../state/pending-limits.ts';

interface OpeningLineOptions {
  readonly clock: Clock;
  readonly maxPendingJobs: number;
  readonly maxPendingBytes: number;
  readonly backpressure: 'reject' | 'wait' | 'shed-oldest';
  readonly backpressureTimeoutMs: number;
}

/** The jobs that wait until the journal is open: as many as may be pending once it is. */
export class OpeningLine {
  readonly #options: OpeningLineOptions;
  readonly #counts = { pending: 0 };
  readonly #limits: PendingLimits;

  constructor(options: OpeningLineOptions) {
    this.#options = options;
    this.#limits = new PendingLimits(options, this.#counts);
  }

  /** The number of jobs that wait. */
  get size(): number {
    return this.#counts.pending;
  }

  /**
   * Submits the jobs as soon as the journal is open, in the order of the calls. With `backpressure: 'wait'`, a call
   * without room waits for the opening for `backpressureTimeoutMs`.
   * @throws QueueFullError, the error of the opening, the signal's own reason
   */
  async submit<Opened, Result>(
    opening: Promise<Opened>,
    jobs: readonly Submission[],
    signal: AbortSignal | undefined,
    submit: (opened: Opened) => Promise<Result>,
  ): Promise<Result> {
    const refusal = this.#enter(jobs);
    if (refusal !== undefined && this.#options.backpressure !== 'wait') throw refusal;
    const late = refusal === undefined ? undefined : this.#deadline(refusal);
    const leave = (): void => {
      late?.cancel();
      if (refusal === undefined) for (const { payload } of jobs) this.#limits.remove(payload);
    };
    // Submitted in the very turn in which the opening ends: nothing may come in between.
    const submitted = opening.then(
      (opened) => {
        leave();
        signal?.throwIfAborted();
        late?.signal.throwIfAborted();
        return submit(opened);
      },
      (error: unknown) => {
        leave();
        throw error;
      },
    );
    const inTime = late === undefined ? submitted : abortable(submitted, late.signal);
    return signal === undefined ? inTime : abortable(inTime, signal);
  }

  /**
   * Counts the jobs; returns why there is no room for them, if so. A list needs room for its first job: the caller holds
   * the others anyway, and they are submitted in parts.
   */
  #enter([first, ...others]: readonly Submission[]): QueueFullError | undefined {
    if (first === undefined) return undefined;
    const refusal = this.#limits.refusalOf(first.payload.length);
    if (refusal !== undefined) return refusal;
    for (const { payload } of [first, ...others]) this.#limits.add(payload);
    return undefined;
  }

  #deadline(refusal: QueueFullError): { signal: AbortSignal; cancel: () => void } {
    const { clock, backpressureTimeoutMs } = this.#options;
    const late = new AbortController();
    const timer = clock.schedule(backpressureTimeoutMs, () => late.abort(refusal));
    return { signal: late.signal, cancel: () => timer.cancel() };
  }
}
