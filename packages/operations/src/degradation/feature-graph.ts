/** The graph of the features, and the effective states in it: pure functions. */
import type { FeatureState } from './degradation.ts';
import { FeatureCycleError, UnknownFeatureError } from './errors.ts';

/** What each feature needs and prefers. */
export type FeatureEdges = Readonly<
  Record<string, { readonly needs: readonly string[]; readonly prefers: readonly string[] }>
>;

/** The own state of a feature. */
export interface OwnState {
  readonly state: FeatureState;
  readonly reason?: string;
}

/** The effective state of a feature, and the feature that is the cause of it. */
export interface EffectiveState extends OwnState {
  readonly cause?: string;
}

const severity = { on: 0, degraded: 1, off: 2 } as const;

/**
 * The features in an order in which each comes after what it needs and prefers.
 * @throws FeatureCycleError, UnknownFeatureError
 */
export function orderOf(edges: FeatureEdges): readonly string[] {
  const names = Object.keys(edges);
  const ordered = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): void => {
    if (ordered.has(name)) return;
    const edge = Object.hasOwn(edges, name) ? edges[name] : undefined;
    if (edge === undefined) throw new UnknownFeatureError(name, names);
    const at = path.indexOf(name);
    if (at !== -1) throw new FeatureCycleError(path.slice(at));
    path.push(name);
    for (const needed of [...edge.needs, ...edge.prefers]) visit(needed);
    path.pop();
    ordered.add(name);
  };
  for (const name of names) visit(name);
  return [...ordered];
}

/** The effective states, in one pass in the order of `orderOf`. */
export function effectiveStates(
  order: readonly string[],
  edges: FeatureEdges,
  own: ReadonlyMap<string, OwnState>,
): ReadonlyMap<string, EffectiveState> {
  const effective = new Map<string, EffectiveState>();
  for (const name of order) {
    const mine = own.get(name) ?? { state: 'on' };
    let worst: EffectiveState = mine.state === 'on' ? mine : { ...mine, cause: name };
    const consider = (needed: string, weakest: FeatureState): void => {
      const theirs = effective.get(needed);
      if (theirs === undefined) return;
      const isWeaker = severity[theirs.state] > severity[weakest];
      const state = isWeaker ? weakest : theirs.state;
      if (severity[state] > severity[worst.state]) worst = { ...theirs, state };
    };
    for (const needed of edges[name]?.needs ?? []) consider(needed, 'off');
    for (const preferred of edges[name]?.prefers ?? []) consider(preferred, 'degraded');
    effective.set(name, worst);
  }
  return effective;
}
