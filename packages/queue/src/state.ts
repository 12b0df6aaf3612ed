import type { ErrorClass } from './backend.ts';

/**
 * Where the queue stands.
 *
 *                 Redis answers, fallback empty
 *      opening ───────────────────────────────────▶ direct
 *         │                                          │  ▲
 *         │ first attempt failed,       a send fails,│  │ fallback empty
 *         │ or fallback not empty       link is lost │  │
 *         ▼                                          ▼  │
 *      buffering ◀──────── a send fails ────────── draining
 *         │  ▲ └─────────── Redis answers ───────────▲
 *  denied │  │ another kind of failure               │
 *  fenced ▼  │                                       │
 *      blocked ───────────── Redis answers ──────────┘
 *
 *      any ── close() ──▶ closed
 *
 * Jobs are accepted by Redis in `direct` and by the fallback in `opening` (once that has ended),
 * `buffering`, `draining` and `blocked`. `blocked` differs from `buffering` in one thing: time alone will not
 * mend it, somebody has to (credentials, permissions, a second owner of the journal).
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
  | { readonly kind: 'answered'; readonly fallbackEmpty: boolean }
  | { readonly kind: 'failed'; readonly errorClass: ErrorClass }
  | { readonly kind: 'emptied' }
  | { readonly kind: 'closed' };

/** The one place a state changes; a moment that does not concern the state returns it unchanged. */
export function transition(state: QueueState, moment: QueueMoment): QueueState {
  if (state.at === 'closed' || moment.kind === 'closed') return { at: 'closed' };
  if (moment.kind === 'failed') return afterFailure(state, moment.errorClass);
  if (moment.kind === 'emptied') return state.at === 'draining' ? { at: 'direct' } : state;
  if (state.at === 'direct' || state.at === 'draining') return state;
  return { at: state.at === 'opening' && moment.fallbackEmpty ? 'direct' : 'draining' };
}

function afterFailure(state: QueueState, errorClass: ErrorClass): QueueState {
  const at = errorClass === 'denied' || errorClass === 'fenced' ? 'blocked' : 'buffering';
  const unchanged = state.at === at && state.errorClass === errorClass;
  return unchanged ? state : { at, errorClass };
}
