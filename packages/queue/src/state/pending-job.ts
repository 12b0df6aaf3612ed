import type { StoredJob } from '../fallback/record.ts';
import type { Accepted, Acceptor } from '../queue.ts';

/** The arguments of an `enqueue` call, validated and serialized. */
export interface Submission {
  readonly topic: string;
  /** JSON. */
  readonly payload: string;
  readonly id: string;
  /** The caller chose the id. */
  readonly unique: boolean;
  readonly enqueuedAtMs: number;
  /** The earliest time of delivery, in milliseconds since the Unix epoch; 0 for no delay. */
  readonly dueAtMs: number;
  /** The priority or the key's hash; see `scheduling.ts`. */
  readonly routing?: string | undefined;
}

/** A job whose `enqueue` has not settled yet. */
export class PendingJob {
  /** The job as Redis or the journal stores it, with its sequence. */
  readonly job: StoredJob;
  /** Settles as the `enqueue` does. */
  readonly outcome: Promise<Accepted>;
  /** The job was sent to Redis at least once, so Redis may have it without having confirmed it. */
  wasSent = false;
  #isSettled = false;
  readonly #onSettled: (job: StoredJob) => void;
  #resolve!: (accepted: Accepted) => void;
  #reject!: (error: unknown) => void;
  /** Removes the listener from the caller's signal, if there is one. */
  #unlisten: (() => void) | undefined;

  /** @param onSettled called once, when `outcome` settles; one function shared by all jobs. */
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

  /** The job was accepted or rejected, or its caller gave up. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  accept(acceptor: Acceptor, isDuplicate = false): void {
    if (this.#isSettled) return;
    this.#settle();
    const { id } = this.job;
    this.#resolve(
      isDuplicate ? { id, accepted: acceptor, duplicate: true } : { id, accepted: acceptor },
    );
  }

  reject(error: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#reject(error);
  }

  #listen(signal: AbortSignal): void {
    const onAbort = (): void => this.reject(signal.reason);
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
