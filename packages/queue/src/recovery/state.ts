import type { ErrorClass } from '../backend.ts';

/**
 * Where the queue stands.
 *
 *                 Redis answers, fallback empty
 *      opening ───────────────────────────────────▶ direct
 *         │                                          │  ▲
 *         │ first attempt failed        a send fails,│  │ fallback empty
 *         │                             link is lost │  │
 *         ▼                                          ▼  │
 *      buffering ◀──────── a send fails ────────── draining
 *         │  ▲ └─────── Redis takes a window ────────▲
 *  denied │  │ another kind of failure               │
 *  fenced ▼  │                                       │
 *      blocked ───────── Redis takes a window ───────┘
 *
 *      any ── close() ──▶ closed
 *
 * Jobs are accepted by Redis in `direct` and by the fallback in `buffering`, `draining` and `blocked`; in
 * `opening` they wait for its end, which a deadline bounds. `blocked` differs from `buffering` in one thing:
 * time alone will not mend it, somebody has to (credentials, permissions, a second owner of the journal).
 * Blocked by a server that is too old, the queue accepts nothing.
 */
export type QueueState =
  | { readonly kind: 'opening' }
  | { readonly kind: 'direct' }
  | { readonly kind: 'buffering'; readonly errorClass: ErrorClass }
  | { readonly kind: 'draining' }
  | { readonly kind: 'blocked'; readonly errorClass: ErrorClass }
  | { readonly kind: 'closed' };

/** What happens to the queue, as far as its state is concerned. */
export type QueueStateEvent =
  /** Redis has taken a window of the backlog. */
  | { readonly kind: 'batch-accepted' }
  | { readonly kind: 'failed'; readonly errorClass: ErrorClass }
  /** Redis answers, and nothing is left in the fallback or on its way there. */
  | { readonly kind: 'backlog-drained' }
  | { readonly kind: 'closed' };

/** The one place a state changes; a event that does not concern the state returns it unchanged. */
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
