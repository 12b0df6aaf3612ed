import { QueueFullError } from '../errors.ts';

/** Bounds the number of pending jobs and the length of their payloads. */
export class PendingLimits {
  readonly #maxJobs: number;
  readonly #maxCharacters: number;
  readonly #counts: { pending: number };
  #characters = 0;

  /** @param counts holds the number of pending jobs as `pending`. */
  constructor(
    { maxPendingJobs, maxPendingBytes }: { maxPendingJobs: number; maxPendingBytes: number },
    counts: { pending: number },
  ) {
    this.#maxJobs = maxPendingJobs;
    this.#maxCharacters = maxPendingBytes;
    this.#counts = counts;
  }

  /** @throws QueueFullError when there is no room for this payload. */
  assertRoom({ length }: string): void {
    const { pending } = this.#counts;
    if (pending >= this.#maxJobs) {
      const seen = `${this.#maxJobs} jobs (maxPendingJobs) are pending already`;
      throw new QueueFullError('maxPendingJobs', seen);
    }
    if (this.#characters + length > this.#maxCharacters && pending > 0) {
      const seen = `${this.#characters} of at most ${this.#maxCharacters} bytes (maxPendingBytes) are pending already`;
      throw new QueueFullError('maxPendingBytes', seen);
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
