import { ListNode } from './lists/linked-list.ts';
import type { AbortListener } from './signals.ts';

/** Passes the abort of a signal on to a call, which is itself a member of another list. */
export class AbortNode extends ListNode implements AbortListener {
  readonly #call: AbortableCall;

  constructor(call: AbortableCall) {
    super();
    this.#call = call;
  }

  onAbort(reason: unknown): void {
    this.#call.signalAborted(reason);
  }
}

/** A call that is told of its caller's abort. */
export interface AbortableCall {
  /** The caller's signal has aborted. */
  signalAborted(reason: unknown): void;
}
