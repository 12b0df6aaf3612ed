import type { Accepted, Acceptor } from '../queue.ts';
import type { StoredJob } from '../fallback/record.ts';

/** What a caller handed in, checked and serialised. */
export interface Submission {
  readonly topic: string;
  /** JSON. */
  readonly payload: string;
  readonly id: string;
  /** The caller chose the id. */
  readonly unique: boolean;
  readonly enqueuedAtMs: number;
  /** Not handed out before; in milliseconds since the Unix epoch, 0 for at once. */
  readonly dueAtMs: number;
  /** Where it belongs within the topic; see `place.ts`. */
  readonly routing?: string | undefined;
}

/** A job whose `enqueue` has not settled yet. */
export class PendingJob {
  /** As it goes to Redis or to the journal, with its place among this process's jobs of the topic. */
  readonly job: StoredJob;
  /** Settles as the `enqueue` does. */
  readonly outcome: Promise<Accepted>;
  /** It was on its way to Redis once, so it may be there although nobody confirmed it. */
  wasSent = false;
  #isSettled = false;
  readonly #onSettled: (job: StoredJob) => void;
  #resolve!: (accepted: Accepted) => void;
  #reject!: (error: unknown) => void;
  /** Stops listening to the caller's signal, where he gave one. */
  #unlisten: (() => void) | undefined;

  /** @param onSettled called once, when the caller has its answer; shared by all jobs. */
  constructor(
    job: StoredJob,
    onSettled: (job: StoredJob) => void,
    signal: AbortSignal | undefined,
  ) {
    this.job = job;
    this.#onSettled = onSettled;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal !== undefined) this.#listen(signal);
  }

  /** Nobody waits for it any more: accepted, refused, or its caller gave up. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  accepted(by: Acceptor, isDuplicate = false): void {
    if (this.#isSettled) return;
    this.#settle();
    const { id } = this.job;
    this.#resolve(isDuplicate ? { id, accepted: by, duplicate: true } : { id, accepted: by });
  }

  refused(error: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#reject(error);
  }

  #listen(signal: AbortSignal): void {
    const onAbort = (): void => this.refused(signal.reason);
    this.#unlisten = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  }

  #settle(): void {
    this.#isSettled = true;
    this.#unlisten?.();
    this.#onSettled(this.job);
  }
}
