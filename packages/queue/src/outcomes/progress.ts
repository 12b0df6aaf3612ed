import type { Clock, Timer } from '@holdfast/foundation';
import { serializeValue } from '../producer/payload.ts';
import type { Job, RunningJob } from '../queue.ts';
import type { OutcomeStore } from './outcome-store.ts';

/** The shortest time between two reports of one job; the latest value is reported then. */
const REPORT_EVERY_MS = 200;
const MAX_PROGRESS_BYTES = 16_384;

interface ProgressDeps {
  readonly topic: string;
  /** Absent: the store keeps none. */
  readonly store: OutcomeStore | undefined;
  readonly clock: Clock;
  readonly ttlMs: number;
}

/**
 * Reports the progress of one run of a handler: the first value at once, then at most one each 200 ms, the latest. One
 * that the store does not take is replaced by the next.
 */
export class ProgressReporter {
  readonly #deps: ProgressDeps;
  readonly #id: string;
  readonly #signal: () => AbortSignal;
  #latest: string | undefined;
  #timer: Timer | undefined;
  #hasEnded = false;

  /** @param signal is aborted when the job is not this consumer's any more. */
  constructor(deps: ProgressDeps, id: string, signal: () => AbortSignal) {
    this.#deps = deps;
    this.#id = id;
    this.#signal = signal;
  }

  report(value: unknown): boolean {
    if (this.#deps.store === undefined || this.#hasEnded || this.#signal().aborted) return false;
    const json = jsonOf(value);
    if (json === undefined) return false;
    this.#latest = json;
    if (this.#timer === undefined) this.#send();
    return true;
  }

  /** The handler has ended; what waits is still reported. */
  end(): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
    if (this.#latest !== undefined) this.#send();
    this.#timer?.cancel();
  }

  #send(): void {
    const { store, topic, ttlMs, clock } = this.#deps;
    const json = this.#latest;
    this.#latest = undefined;
    this.#timer = undefined;
    if (json === undefined) return;
    store?.report(topic, this.#id, json, ttlMs).catch(() => undefined);
    this.#timer = clock.schedule(REPORT_EVERY_MS, () => this.#send(), { holdsProcess: false });
  }
}

function jsonOf(value: unknown): string | undefined {
  try {
    const json = serializeValue(value, 'progress');
    return Buffer.byteLength(json) <= MAX_PROGRESS_BYTES ? json : undefined;
  } catch {
    return undefined;
  }
}

/** A job as its handler sees it. */
class ReportingJob {
  readonly #reporter: ProgressReporter;

  constructor(reporter: ProgressReporter) {
    this.#reporter = reporter;
  }

  progress(value: unknown): boolean {
    return this.#reporter.report(value);
  }
}

/** The job with the method that reports its progress. */
export function reporting(job: Job, reporter: ProgressReporter): RunningJob {
  return Object.assign(new ReportingJob(reporter), job);
}
