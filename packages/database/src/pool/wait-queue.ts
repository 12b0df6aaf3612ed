import { ListNode, type Timer } from '@holdfast/foundation';
import type { Slot } from './pooled-connection.ts';

/** A caller who waits for a link. */
export class Waiter extends ListNode {
  readonly sinceMs: number;
  readonly resolve: (slot: Slot) => void;
  readonly reject: (reason: unknown) => void;
  timer: Timer | undefined;

  constructor(sinceMs: number, resolve: (slot: Slot) => void, reject: (reason: unknown) => void) {
    super();
    this.sinceMs = sinceMs;
    this.resolve = resolve;
    this.reject = reject;
  }
}
