import type { ErrorClass } from './backend.ts';

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
  | { readonly at: 'opening' }
  | { readonly at: 'direct' }
  | { readonly at: 'buffering'; readonly errorClass: ErrorClass }
  | { readonly at: 'draining' }
  | { readonly at: 'blocked'; readonly errorClass: ErrorClass }
  | { readonly at: 'closed' };

/** What happens to the queue, as far as its state is concerned. */
export type QueueMoment =
  /** Redis has taken a window of the backlog. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed'; readonly errorClass: ErrorClass }
  /** Redis answers, and nothing is left in the fallback or on its way there. */
  | { readonly kind: 'emptied' }
  | { readonly kind: 'closed' };

/** The one place a state changes; a moment that does not concern the state returns it unchanged. */
export function transition(state: QueueState, moment: QueueMoment): QueueState {
  if (state.at === 'closed' || moment.kind === 'closed') return { at: 'closed' };
  if (moment.kind === 'failed') return afterFailure(state, moment.errorClass);
  const at = moment.kind === 'emptied' ? 'direct' : 'draining';
  return state.at === at || state.at === 'direct' ? state : { at };
}

function afterFailure(state: QueueState, errorClass: ErrorClass): QueueState {
  const at = errorClass === 'busy' || errorClass === 'unreachable' ? 'buffering' : 'blocked';
  const unchanged = state.at === at && state.errorClass === errorClass;
  return unchanged ? state : { at, errorClass };
}
