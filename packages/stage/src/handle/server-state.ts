import type { ServerInstance } from './driver.ts';
import type { ServerState } from './handle.ts';

/** Published as `holdfast:stage:transition`, so that a report can mark the moments of a fault. */
export interface StageTransition {
  readonly server: string;
  readonly from: ServerState;
  readonly to: ServerState;
  /** Reading of the stage's clock, in milliseconds. */
  readonly atMs: number;
}

/**
 * ```
 *    ┌────────ended────────┬────────ended────────┐
 *    ▼                     │                     │
 * stopped ───answered──▶ running ───frozen──▶ frozen
 *                          ▲                     │
 *                          └───────thawed────────┘
 * ```
 * The server itself reports `ended`, so that an unexpected crash is seen too.
 */
export type InstanceState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'running' | 'frozen'; readonly instance: ServerInstance };

export interface InstanceEvent {
  readonly kind: 'answered' | 'frozen' | 'thawed' | 'ended';
  readonly instance: ServerInstance;
}

export function transition(state: InstanceState, { kind, instance }: InstanceEvent): InstanceState {
  if (kind === 'answered') return { kind: 'running', instance };
  // Ignore an instance that was replaced or has ended.
  if (state.kind === 'stopped' || state.instance !== instance) return state;
  if (kind === 'ended') return { kind: 'stopped' };
  return { kind: kind === 'frozen' ? 'frozen' : 'running', instance };
}
