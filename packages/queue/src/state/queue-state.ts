import type { ErrorClass } from '../backend.ts';

/**
 * The state of the queue.
 *
 *                 Redis answers, fallback empty
 *      opening ───────────────────────────────────▶ direct
 *         │                                          │  ▲
 *         │ first attempt failed      a send fails or│  │ fallback empty
 *         │                    the connection is lost│  │
 *         ▼                                          ▼  │
 *      buffering ◀──────── a send fails ────────── draining
 *         │  ▲ └────── Redis accepts a window ───────▲
 *  denied │  │ another error class                   │
 *  fenced ▼  │                                       │
 *      blocked ──────── Redis accepts a window ──────┘
 *
 *      any ── close() ──▶ closed
 *
 * Redis accepts the jobs in `direct`; the fallback accepts them in `buffering`, `draining` and `blocked`. In
 * `opening` they wait until the first attempt has ended, which a deadline bounds. `blocked` means that waiting
 * does not help: an operator has to act (credentials, permissions, a second owner of the journal). While blocked
 * by a server that is too old, the queue accepts nothing.
 */
export type QueueState =
  | { readonly kind: 'opening' }
  | { readonly kind: 'direct' }
  | { readonly kind: 'buffering'; readonly errorClass: ErrorClass }
  | { readonly kind: 'draining' }
  | { readonly kind: 'blocked'; readonly errorClass: ErrorClass }
  | { readonly kind: 'closed' };

/** The events that may change the state. */
export type QueueStateEvent =
  /** Redis has accepted a window of the backlog. */
  | { readonly kind: 'batch-accepted' }
  | { readonly kind: 'failed'; readonly errorClass: ErrorClass }
  /** Redis answers, and no job is in the fallback or being written to it. */
  | { readonly kind: 'backlog-drained' }
  | { readonly kind: 'closed' };

/** Returns the next state; the same object when the event changes nothing. */
export function transition(state: QueueState, event: QueueStateEvent): QueueState {
  if (state.kind === 'closed' || event.kind === 'closed') return { kind: 'closed' };
  if (event.kind === 'failed') return afterFailure(state, event.errorClass);
  const kind = event.kind === 'backlog-drained' ? 'direct' : 'draining';
  return state.kind === kind || state.kind === 'direct' ? state : { kind };
}

function afterFailure(state: QueueState, errorClass: ErrorClass): QueueState {
  const kind = errorClass === 'busy' || errorClass === 'unreachable' ? 'buffering' : 'blocked';
  const unchanged = state.kind === kind && state.errorClass === errorClass;
  return unchanged ? state : { kind, errorClass };
}
