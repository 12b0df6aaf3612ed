import type { AlertLevel, AlertNotification, Silence } from './alerts.ts';
import type { AlertLabels } from './matching.ts';

/** An alert that fires, or was resolved and is not yet reported so. */
interface ActiveAlert {
  readonly fingerprint: string;
  readonly labels: AlertLabels;
  readonly level: AlertLevel;
  readonly summary: string;
  readonly group: string;
  readonly sinceMs: number;
}

/** The outage that a group reports. */
export interface OpenIncident {
  readonly id: string;
  readonly openedMs: number;
  /** The step that was notified last, counted over all loops. */
  readonly step: number;
  /** When that was. */
  readonly stepMs: number;
  /** The last notification of any kind. */
  readonly notifiedMs: number;
  /** How many of its alerts were known then. */
  readonly notifiedAlerts: number;
  readonly acknowledgedBy?: string;
}

/** The alerts of one level with equal values of the labels of `groupBy`. */
export interface AlertGroup {
  readonly key: string;
  readonly level: AlertLevel;
  readonly labels: AlertLabels;
  /** The fingerprints of its alerts that fire. */
  readonly firing: Set<string>;
  /** How many alerts it ever had since the incident opened. */
  seen: number;
  /** When its last alert was resolved. */
  quietMs: number | undefined;
  incident: OpenIncident | undefined;
  /** When an incident ended last. */
  endedMs: number | undefined;
}

/** A notification that a channel does not have yet. */
export interface PendingDelivery {
  readonly channel: string;
  readonly notification: AlertNotification;
  attempts: number;
  dueMs: number;
  isInFlight: boolean;
  lastError?: string;
}

/** Everything the manager knows; only {@link applyEntry} changes it, live and when the log is read again. */
export interface AlertState {
  atMs: number;
  readonly alerts: Map<string, ActiveAlert>;
  readonly groups: Map<string, AlertGroup>;
  readonly silences: Map<string, Silence>;
  readonly pending: Map<string, PendingDelivery>;
  readonly beats: Map<string, number>;
  /** When each channel got its notifications of the last hour. */
  readonly sent: Map<string, number[]>;
}

/** One entry of the notification log. */
export type LogEntry = { readonly atMs: number } & (
  | { readonly kind: 'fired'; readonly alert: ActiveAlert; readonly groupLabels: AlertLabels }
  | { readonly kind: 'resolved'; readonly fingerprint: string }
  | { readonly kind: 'silenced'; readonly silence: Silence }
  | { readonly kind: 'unsilenced'; readonly id: string }
  | { readonly kind: 'acknowledged'; readonly group: string; readonly by: string }
  | { readonly kind: 'beat'; readonly duty: string }
  | {
      readonly kind: 'notified';
      readonly group: string;
      readonly channels: readonly string[];
      readonly notification: AlertNotification;
    }
  | { readonly kind: 'delivered'; readonly id: string; readonly channel: string }
  | { readonly kind: 'abandoned'; readonly id: string; readonly channel: string }
);

const HOUR_MS = 3_600_000;

/** No alert and no memory. */
export function emptyState(): AlertState {
  return {
    atMs: 0,
    alerts: new Map(),
    groups: new Map(),
    silences: new Map(),
    pending: new Map(),
    beats: new Map(),
    sent: new Map(),
  };
}

/** The identity of a delivery. */
function deliveryKey(id: string, channel: string): string {
  return `${id} ${channel}`;
}

/** Applies one entry. Entries that refer to what is gone change nothing. */
export function applyEntry(state: AlertState, entry: LogEntry): void {
  state.atMs = Math.max(state.atMs, entry.atMs);
  switch (entry.kind) {
    case 'fired':
      fire(state, entry.alert, entry.groupLabels);
      return;
    case 'resolved':
      resolve(state, entry.fingerprint, entry.atMs);
      return;
    case 'silenced':
      state.silences.set(entry.silence.id, entry.silence);
      return;
    case 'unsilenced':
      state.silences.delete(entry.id);
      return;
    case 'acknowledged': {
      const group = state.groups.get(entry.group);
      if (group?.incident === undefined) return;
      group.incident = { ...group.incident, acknowledgedBy: entry.by };
      return;
    }
    case 'beat':
      state.beats.set(entry.duty, entry.atMs);
      return;
    case 'notified':
      notify(state, entry);
      return;
    case 'delivered':
      state.pending.delete(deliveryKey(entry.id, entry.channel));
      countSent(state, entry.channel, entry.atMs);
      return;
    case 'abandoned':
      state.pending.delete(deliveryKey(entry.id, entry.channel));
  }
}

function fire(state: AlertState, alert: ActiveAlert, labels: AlertLabels): void {
  let group = state.groups.get(alert.group);
  if (group === undefined) {
    group = {
      key: alert.group,
      level: alert.level,
      labels,
      firing: new Set(),
      seen: 0,
      quietMs: undefined,
      incident: undefined,
      endedMs: undefined,
    };
    state.groups.set(alert.group, group);
  }
  const known = state.alerts.get(alert.fingerprint);
  if (known !== undefined && known.group !== alert.group)
    resolve(state, alert.fingerprint, alert.sinceMs);
  state.alerts.set(alert.fingerprint, alert);
  group.firing.add(alert.fingerprint);
  group.seen += 1;
  group.quietMs = undefined;
}

function resolve(state: AlertState, fingerprint: string, atMs: number): void {
  const alert = state.alerts.get(fingerprint);
  if (alert === undefined) return;
  state.alerts.delete(fingerprint);
  const group = state.groups.get(alert.group);
  group?.firing.delete(fingerprint);
  if (group !== undefined && group.firing.size === 0) group.quietMs = atMs;
}

function notify(state: AlertState, entry: Extract<LogEntry, { kind: 'notified' }>): void {
  const { notification, atMs } = entry;
  const group = state.groups.get(entry.group);
  if (group !== undefined) moveIncident(group, notification, atMs);
  for (const channel of entry.channels) {
    state.pending.set(deliveryKey(notification.id, channel), {
      channel,
      notification,
      attempts: 0,
      dueMs: atMs,
      isInFlight: false,
    });
  }
}

function moveIncident(group: AlertGroup, notification: AlertNotification, atMs: number): void {
  const { incident: id, kind, step } = notification;
  if (kind === 'resolved') {
    group.incident = undefined;
    group.endedMs = atMs;
    group.seen = group.firing.size;
    return;
  }
  const before = group.incident;
  const isStep = kind === 'page' || kind === 'escalation';
  group.incident = {
    id,
    openedMs: before?.openedMs ?? atMs,
    step,
    stepMs: isStep || before === undefined ? atMs : before.stepMs,
    notifiedMs: atMs,
    notifiedAlerts: group.seen,
    ...(before?.acknowledgedBy !== undefined && { acknowledgedBy: before.acknowledgedBy }),
  };
}

function countSent(state: AlertState, channel: string, atMs: number): void {
  const sent = state.sent.get(channel)?.filter((ms) => ms > atMs - HOUR_MS) ?? [];
  state.sent.set(channel, [...sent, atMs]);
}

/** Forgets groups and silences that are over for longer than `retentionMs`. */
export function forgetOld(state: AlertState, nowMs: number, retentionMs: number): void {
  for (const [key, group] of state.groups) {
    if (group.firing.size > 0 || group.incident !== undefined) continue;
    if (nowMs - (group.endedMs ?? group.quietMs ?? 0) > retentionMs) state.groups.delete(key);
  }
  for (const [id, silence] of state.silences) {
    if (silence.endsMs < nowMs) state.silences.delete(id);
  }
}
