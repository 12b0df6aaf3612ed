/** Why a node is not trusted. */
export type IllReason =
  | 'consecutive-failures'
  | 'error-share'
  | 'latency'
  | 'health-check'
  | 'probe';

/**
 * The state of a node, with only the data of that state.
 *
 * ```
 *              failure             eject
 *   ┌─────────┐ ────> ┌─────────┐ ───────────> ┌─────────┐ <─────────────┐
 *   │ healthy │       │ suspect │              │ ejected │   probe fails │
 *   └─────────┘ <──── └─────────┘ ──┐          └─────────┘ ──────> ┌─────────┐
 *     ^  │    answer       ^        │ keep       │   ^    due       │ probing │
 *     │  │ eject           └────────┘            │   │ eject       └─────────┘
 *     │  └──────────────────> ejected     answer │   │                  │
 *     │                                  (panic) v   │       answer     │
 *     │        after slowStartMs              ┌─────────┐ <─────────────┘
 *     └────────────────────────────────────── │ warming │
 *                                             └─────────┘
 *   from any state:  drain -> draining;  resume: draining -> warming
 * ```
 *
 * Only an answer leads out of `suspect`, `ejected` and `probing`: a connection alone proves nothing. A node that is to be
 * ejected while it is the last one stays `suspect`, with `isKept`.
 */
export type NodeState =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'suspect'; readonly failures: number; readonly isKept: boolean }
  | { readonly kind: 'ejected'; readonly reason: IllReason; readonly untilMs: number }
  | { readonly kind: 'probing' }
  | { readonly kind: 'warming'; readonly sinceMs: number }
  | { readonly kind: 'draining' };

/** An event of a node. Times are monotonic. */
export type NodeMove =
  | { readonly kind: 'failure' }
  | { readonly kind: 'answer'; readonly nowMs: number }
  | { readonly kind: 'eject'; readonly reason: IllReason; readonly untilMs: number }
  | { readonly kind: 'keep' }
  | { readonly kind: 'due' }
  | { readonly kind: 'warmed' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'resume'; readonly nowMs: number };

/** The initial state, one object for all nodes. */
export const healthyState: NodeState = { kind: 'healthy' };

/** The next state; the same object if the move has no effect in this state. */
export function nextState(state: NodeState, move: NodeMove): NodeState {
  if (move.kind === 'drain') return state.kind === 'draining' ? state : { kind: 'draining' };
  if (state.kind === 'draining') {
    return move.kind === 'resume' ? { kind: 'warming', sinceMs: move.nowMs } : state;
  }
  switch (move.kind) {
    case 'failure':
      return afterFailure(state);
    case 'answer':
      return afterAnswer(state, move.nowMs);
    case 'eject':
      return { kind: 'ejected', reason: move.reason, untilMs: move.untilMs };
    case 'keep':
      return { kind: 'suspect', failures: failuresOf(state), isKept: true };
    case 'due':
      return state.kind === 'ejected' ? { kind: 'probing' } : state;
    case 'warmed':
      return state.kind === 'warming' ? healthyState : state;
    case 'resume':
      break;
  }
  return state;
}

function afterFailure(state: NodeState): NodeState {
  if (state.kind === 'suspect') return { ...state, failures: state.failures + 1 };
  return state.kind === 'healthy' || state.kind === 'warming'
    ? { kind: 'suspect', failures: 1, isKept: false }
    : state;
}

function afterAnswer(state: NodeState, nowMs: number): NodeState {
  if (state.kind === 'suspect') return healthyState;
  return state.kind === 'ejected' || state.kind === 'probing'
    ? { kind: 'warming', sinceMs: nowMs }
    : state;
}

function failuresOf(state: NodeState): number {
  return state.kind === 'suspect' ? state.failures : 0;
}
