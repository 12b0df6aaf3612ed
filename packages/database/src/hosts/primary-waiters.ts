import {
  type Clock,
  type CallDeadline,
  LinkedList,
  ListNode,
  type Timer,
} from '@holdfast/foundation';
import type { Host } from './host.ts';

class Awaiting extends ListNode {
  readonly resolve: (host: Host) => void;
  readonly reject: (reason: unknown) => void;
  timer: Timer | undefined;

  constructor(resolve: (host: Host) => void, reject: (reason: unknown) => void) {
    super();
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Those who want to write while it is not clear where; held in order, each until its own deadline. */
export class PrimaryAwaited {
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  readonly #refusal: () => Error;
  readonly #line: LinkedList<Awaiting> = new LinkedList();

  constructor(clock: Clock, maxWaiting: number, refusal: () => Error) {
    this.#clock = clock;
    this.#maxWaiting = maxWaiting;
    this.#refusal = refusal;
  }

  /** @throws the refusal when its time is over or too many wait, or the reason of the limit's signal. */
  wait(limit: CallDeadline, timeoutMs: number): Promise<Host> {
    return new Promise((resolve, reject) => {
      if (limit.cancellation !== undefined || this.#line.size >= this.#maxWaiting) {
        reject(limit.cancellation?.kind === 'signal' ? limit.cancellation.reason : this.#refusal());
        return;
      }
      const awaiting = new Awaiting(resolve, reject);
      const giveUp = (reason: () => unknown): void => {
        awaiting.timer?.cancel();
        if (this.#line.remove(awaiting)) reject(reason());
      };
      limit.current = {
        cancel: (over) => giveUp(() => (over.kind === 'signal' ? over.reason : this.#refusal())),
      };
      // Also where the limit ends first: nothing else may hold the process as long as somebody waits here.
      const waitMs = Math.min(timeoutMs, limit.remainingMs());
      awaiting.timer = this.#clock.schedule(waitMs, () => giveUp(this.#refusal));
      this.#line.append(awaiting);
    });
  }

  serve(host: Host): void {
    this.#each((awaiting) => awaiting.resolve(host));
  }

  refuse(reason: Error): void {
    this.#each((awaiting) => awaiting.reject(reason));
  }

  #each(settle: (awaiting: Awaiting) => void): void {
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      next.timer?.cancel();
      settle(next);
    }
  }
}
