import type { AlertReason, NotificationKind } from './alerts.ts';
import type { Muting } from './matching.ts';
import type { ResolvedLevel } from './options.ts';
import type { AlertGroup, AlertState, OpenIncident } from './state.ts';

/** What a group does now, why, and when that changes by itself. */
interface GroupDecision {
  readonly reason: AlertReason;
  readonly untilMs?: number;
  /** The notification to send now. */
  readonly notify?: { readonly kind: NotificationKind; readonly step: number };
}

/**
 * Decides for one group. The order of the questions is the order of the drawing:
 *
 * ```
 * nothing fires -> settling -> resolved
 * fires -> muted? -> open? no:  waiting-for-group -> throttled -> page
 *                          yes: escalation (not acknowledged) -> update -> repeat
 * ```
 */
export function decideGroup(
  group: AlertGroup,
  level: ResolvedLevel,
  state: Pick<AlertState, 'alerts'>,
  muting: Muting,
  nowMs: number,
): GroupDecision {
  const { incident } = group;
  if (group.firing.size === 0) {
    if (incident === undefined) return { reason: 'no-alert' };
    const dueMs = (group.quietMs ?? nowMs) + level.resolveWaitMs;
    if (nowMs < dueMs) return { reason: 'settling', untilMs: dueMs };
    return { reason: 'resolved', notify: { kind: 'resolved', step: incident.step } };
  }
  const firstMs = firstAudible(group, state, muting);
  if (firstMs === undefined) return withUntil('muted', muting.changesMs);
  if (incident === undefined) return decideFirst(group, level, firstMs, nowMs);
  return decideOpen(group, incident, level, nowMs);
}

/** When the oldest alert of the group that is not muted began. */
function firstAudible(
  group: AlertGroup,
  state: Pick<AlertState, 'alerts'>,
  muting: Muting,
): number | undefined {
  let firstMs: number | undefined;
  for (const fingerprint of group.firing) {
    const alert = state.alerts.get(fingerprint);
    if (alert === undefined || (firstMs !== undefined && alert.sinceMs >= firstMs)) continue;
    if (muting.mutedBy(fingerprint, alert.labels) === undefined) firstMs = alert.sinceMs;
  }
  return firstMs;
}

function decideFirst(
  group: AlertGroup,
  level: ResolvedLevel,
  firstMs: number,
  nowMs: number,
): GroupDecision {
  const gatheredMs = firstMs + level.groupWaitMs;
  if (nowMs < gatheredMs) return { reason: 'waiting-for-group', untilMs: gatheredMs };
  const throttledMs = (group.endedMs ?? -Infinity) + level.throttleMs;
  if (nowMs < throttledMs) return { reason: 'throttled', untilMs: throttledMs };
  return { reason: 'page', notify: { kind: 'page', step: 0 } };
}

function decideOpen(
  group: AlertGroup,
  incident: OpenIncident,
  level: ResolvedLevel,
  nowMs: number,
): GroupDecision {
  const { escalation } = level;
  const isAcknowledged = incident.acknowledgedBy !== undefined;
  const lastStep = stepsIn(level) - 1;
  if (escalation !== undefined && !isAcknowledged && incident.step < lastStep) {
    const dueMs = incident.stepMs + escalation.ackTimeoutMs;
    if (nowMs >= dueMs) {
      return { reason: 'escalation', notify: { kind: 'escalation', step: incident.step + 1 } };
    }
    return { reason: 'waiting-for-acknowledgement', untilMs: dueMs };
  }
  const hasNews = level.updateMs > 0 && group.seen > incident.notifiedAlerts;
  const updateMs = incident.notifiedMs + level.updateMs;
  if (hasNews && nowMs >= updateMs) {
    return { reason: 'update', notify: { kind: 'update', step: incident.step } };
  }
  if (isAcknowledged) return withUntil('acknowledged', hasNews ? updateMs : undefined);
  const repeatMs = incident.notifiedMs + level.repeatMs;
  if (nowMs >= repeatMs) {
    return { reason: 'repeat', notify: { kind: 'repeat', step: incident.step } };
  }
  const reason = escalation === undefined ? 'waiting-to-repeat' : 'escalation-exhausted';
  return { reason, untilMs: hasNews ? Math.min(updateMs, repeatMs) : repeatMs };
}

/** How many steps the level has, over all loops. */
export function stepsIn(level: ResolvedLevel): number {
  const { escalation } = level;
  return escalation === undefined ? 1 : (escalation.steps.length + 1) * (escalation.loops + 1);
}

/** The channels of a step; the end of an incident goes to all that were notified of it. */
export function channelsOf(
  level: ResolvedLevel,
  kind: NotificationKind,
  step: number,
): readonly string[] {
  const steps = [level.channels, ...(level.escalation?.steps ?? [])];
  if (kind === 'resolved') return [...new Set(steps.slice(0, step + 1).flat())];
  if (kind === 'update') return level.channels;
  if (kind === 'repeat') return steps[0] ?? [];
  return steps[step % steps.length] ?? [];
}

function withUntil(reason: AlertReason, untilMs: number | undefined): GroupDecision {
  return untilMs === undefined ? { reason } : { reason, untilMs };
}
