import type { Delivery } from '../../backend.ts';

/** About the most payload of one reply: a slow link passes it within the deadline of a command, or nearly so. */
export const READ_BYTES = 1_048_576;

/**
 * Decides how many jobs to ask for, so that a reply is not much larger than `READ_BYTES`. Expects jobs as large as
 * the largest one lately, and as large as a reply at first.
 */
export class ReadWindow {
  #expectedBytes = READ_BYTES;

  /** At most `max`, at least 1. */
  jobs(max: number): number {
    return Math.max(1, Math.min(max, Math.floor(READ_BYTES / this.#expectedBytes)));
  }

  record(deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return;
    const largest = deliveries.reduce((most, { payload }) => Math.max(most, payload.length), 1);
    this.#expectedBytes = Math.max(largest, Math.ceil(this.#expectedBytes / 8));
  }
}
