import { QueueFullError } from '../errors.ts';

/** How many jobs may wait in memory for an answer of Redis or the journal, and how long their payloads may be. */
export class PendingLimits {
  readonly #maxJobs: number;
  readonly #maxCharacters: number;
  readonly #counts: { pending: number };
  #characters = 0;

  /** @param counts where `pending` is kept. */
  constructor(
    { maxPendingJobs, maxPendingBytes }: { maxPendingJobs: number; maxPendingBytes: number },
    counts: { pending: number },
  ) {
    this.#maxJobs = maxPendingJobs;
    this.#maxCharacters = maxPendingBytes;
    this.#counts = counts;
  }

  /** Whether a payload may come in. @throws QueueFullError */
  assertRoom({ length }: string): void {
    const { pending } = this.#counts;
    if (pending >= this.#maxJobs) {
      throw new QueueFullError(
        'maxPendingJobs',
        `${this.#maxJobs} jobs (maxPendingJobs) wait for an answer already`,
      );
    }
    if (this.#characters + length > this.#maxCharacters && pending > 0) {
      throw new QueueFullError(
        'maxPendingBytes',
        `${this.#characters} of at most ${this.#maxCharacters} bytes (maxPendingBytes) wait for an answer already`,
      );
    }
  }

  add({ length }: string): void {
    this.#counts.pending += 1;
    this.#characters += length;
  }

  remove({ length }: string): void {
    this.#counts.pending -= 1;
    this.#characters -= length;
  }
}
