import type { FailoverReason, MemberStatus, FailoverRoute } from './failover.ts';

/** What the manager knows after a round. */
export interface FailoverView {
  readonly route: FailoverRoute | undefined;
  /** `undefined`: it did not answer. */
  readonly members: ReadonlyMap<string, MemberStatus | undefined>;
  /** In how many rounds in a row the primary was away. */
  readonly missedRounds: number;
  /** The furthest position that a primary of this epoch was seen at. */
  readonly lastPosition: number | undefined;
}

/** What to do. */
export type FailoverDecision =
  | { readonly reason: Exclude<FailoverReason, 'failover'> }
  | { readonly reason: 'failover'; readonly from: string; readonly candidate: string };

/** Whether the member is the primary of the route: one of another epoch, or a fenced one, is not. */
export function isPrimaryOf(route: FailoverRoute, status: MemberStatus | undefined): boolean {
  return status?.role === 'primary' && !status.isFenced && status.epoch === route.epoch;
}

/** Decides from the view alone. A primary that returns before the rounds are over stays. */
export function decideFailover(
  view: FailoverView,
  limits: { readonly rounds: number; readonly maxLag: number; readonly minReplicas: number },
): FailoverDecision {
  const { route, members, missedRounds } = view;
  if (route === undefined) return { reason: 'no-primary-known' };
  if (route.isOpen) {
    if (isPrimaryOf(route, members.get(route.member))) return { reason: 'primary-well' };
    if (missedRounds < limits.rounds) return { reason: 'confirming' };
  }
  const candidate = bestCandidate(view, route, limits);
  if (candidate === undefined) return { reason: 'no-candidate' };
  return { reason: 'failover', from: route.member, candidate };
}

/**
 * The old primary itself, if it is back while its route is closed; else the replica whose data goes furthest, unless
 * too few answer to know that, or even that one lacks too much. What a failover that was cut short promoted counts as
 * a replica: no writer ever had its route.
 */
function bestCandidate(
  { members, lastPosition }: FailoverView,
  route: FailoverRoute,
  limits: { readonly maxLag: number; readonly minReplicas: number },
): string | undefined {
  if (isPrimaryOf(route, members.get(route.member))) return route.member;
  let best: { readonly id: string; readonly epoch: number; readonly position: number } | undefined;
  let answering = 0;
  for (const [id, status] of members) {
    if (status === undefined || id === route.member) continue;
    if (status.role === 'primary' && status.epoch <= route.epoch) continue;
    answering += 1;
    // It has nothing of this epoch, however far the data goes that it has of an earlier one.
    if (status.epoch < route.epoch) continue;
    const { epoch, position } = status;
    const isFurther =
      best === undefined ||
      epoch > best.epoch ||
      (epoch === best.epoch && position > best.position);
    if (isFurther) best = { id, epoch, position };
  }
  if (best === undefined || lastPosition === undefined || answering < limits.minReplicas) {
    return undefined;
  }
  return lastPosition - best.position <= limits.maxLag ? best.id : undefined;
}

/** Those who are primary beside the route: an old one that came back, to be fenced. */
export function strayPrimaries({ route, members }: FailoverView): readonly string[] {
  if (route === undefined) return [];
  return [...members].flatMap(([id, status]) =>
    id !== route.member &&
    status?.role === 'primary' &&
    !status.isFenced &&
    status.epoch <= route.epoch
      ? [id]
      : [],
  );
}
