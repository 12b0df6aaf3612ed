import { CallDeadline } from '@holdfast/foundation';

/**
 * The deadline of a call with a `timeoutMs` of its own. It covers the wait for a connection too: a caller that gives a
 * call longer than `acquireTimeoutMs` has the patience for it.
 */
export class OwnDeadline extends CallDeadline {}

/** How long a call may wait for a connection: as long as it has, else as long as the option says. */
export function acquireLimitMs(deadline: CallDeadline, acquireTimeoutMs: number): number {
  return deadline instanceof OwnDeadline ? deadline.timeoutMs : acquireTimeoutMs;
}
