import type { CallDeadline, Clock } from '@holdfast/foundation';
import { WaitQueue } from '../pool/wait-queue.ts';
import type { Host } from './host.ts';

/** Writers that wait until the primary is known, in order, each until its own deadline. */
export class PrimaryWaiters {
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  readonly #noPrimary: () => Error;
  readonly #queue: WaitQueue<Host>;

  constructor(clock: Clock, maxWaiting: number, noPrimary: () => Error) {
    this.#clock = clock;
    this.#maxWaiting = maxWaiting;
    this.#noPrimary = noPrimary;
    this.#queue = new WaitQueue(clock, noPrimary);
  }

  /** @throws the error of no primary at the deadline or when the queue is full, or the signal's reason. */
  async wait(deadline: CallDeadline, timeoutMs: number): Promise<Host> {
    const { cancellation } = deadline;
    if (cancellation?.kind === 'signal') throw cancellation.reason;
    if (cancellation !== undefined || this.#queue.size >= this.#maxWaiting) throw this.#noPrimary();
    // A timer also where the deadline comes first: nothing else may keep the process alive meanwhile.
    const waitMs = Math.min(timeoutMs, deadline.remainingMs());
    return this.#queue.wait(deadline, this.#clock.now(), waitMs);
  }

  serve(host: Host): void {
    this.#queue.serveAll(host);
  }

  reject(reason: Error): void {
    this.#queue.rejectAll(() => reason);
  }
}
