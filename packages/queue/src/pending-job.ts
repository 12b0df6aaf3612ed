import type { Accepted, Acceptor } from './queue.ts';

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
  readonly place?: string | undefined;
}

/** A job whose `enqueue` has not settled yet. */
export class PendingJob {
  readonly submission: Submission;
  /** Its place among this process's jobs of the topic. */
  readonly sequence: number;
  /** Settles as the `enqueue` does. */
  readonly outcome: Promise<Accepted>;
  /** It was on its way to Redis once, so it may be there although nobody confirmed it. */
  wasSent = false;
  #isSettled = false;
  readonly #settle: () => void;
  #resolve!: (accepted: Accepted) => void;
  #reject!: (error: unknown) => void;

  /** @param onSettled called once, when the caller has its answer. */
  constructor(
    submission: Submission,
    sequence: number,
    onSettled: () => void,
    signal: AbortSignal | undefined,
  ) {
    this.submission = submission;
    this.sequence = sequence;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const onAbort = (): void => this.refused(signal?.reason);
    this.#settle = () => {
      this.#isSettled = true;
      signal?.removeEventListener('abort', onAbort);
      onSettled();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  }

  /** Nobody waits for it any more: accepted, refused, or its caller gave up. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  accepted(by: Acceptor, isDuplicate = false): void {
    if (this.#isSettled) return;
    this.#settle();
    const { id } = this.submission;
    this.#resolve(isDuplicate ? { id, accepted: by, duplicate: true } : { id, accepted: by });
  }

  refused(error: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#reject(error);
  }
}
