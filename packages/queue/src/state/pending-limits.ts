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
    const refusal = this.refusalOf(length);
    if (refusal !== undefined) throw refusal;
  }

  /** Why there is no room for a payload of this length; `undefined` when there is. */
  refusalOf(length: number): QueueFullError | undefined {
    const { pending } = this.#counts;
    if (pending >= this.#maxJobs) {
      const seen = `${this.#maxJobs} jobs (maxPendingJobs) are pending already`;
      return new QueueFullError('maxPendingJobs', seen);
    }
    if (this.#characters + length > this.#maxCharacters && pending > 0) {
      const seen = `${this.#characters} of at most ${this.#maxCharacters} bytes (maxPendingBytes) are pending already`;
      return new QueueFullError('maxPendingBytes', seen);
    }
    return undefined;
  }

  /** Whether there is room for all of these jobs at once. */
  hasRoomFor(jobs: readonly { readonly payload: string }[]): boolean {
    let characters = this.#characters;
    for (const { payload } of jobs) characters += payload.length;
    const { pending } = this.#counts;
    return pending + jobs.length <= this.#maxJobs && characters <= this.#maxCharacters;
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
