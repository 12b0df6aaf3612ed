import type { Subscribe } from '@holdfast/foundation';

/** How urgent an alert is; each level has its own channels and times. */
export type AlertLevel = 'critical' | 'high' | 'medium' | 'low';

/** All levels, the most urgent first. */
export const ALERT_LEVELS: readonly AlertLevel[] = ['critical', 'high', 'medium', 'low'];

/** One report that something is wrong, or no longer is. The same name and labels are the same alert. */
export interface AlertSignal {
  /** What is wrong, such as `RedisDown`; also matched and grouped as the label `alertname`. */
  readonly name: string;
  /** Where: what tells two alerts of one name apart. Default none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Default `'firing'`. */
  readonly status?: 'firing' | 'resolved';
  /** Default: by `impact`. */
  readonly level?: AlertLevel;
  /** How many users or requests it concerns: over 1 000 is high, over 100 medium, else low. Default 0. */
  readonly impact?: number;
  /** One sentence for the person who is paged. Default: the name. */
  readonly summary?: string;
}

/** Selects alerts: every label must be equal; a list means any of them. */
export type AlertMatcher = Readonly<Record<string, string | readonly string[]>>;

/** While an alert that matches `source` fires, those that match `target` notify nobody. */
export interface InhibitionRule {
  readonly source: AlertMatcher;
  readonly target: AlertMatcher;
  /** Only where these labels have the same value on both. Default none. */
  readonly equal?: readonly string[];
}

/** Alerts that notify nobody for a time, such as a planned maintenance. */
export interface Silence {
  readonly id: string;
  readonly match: AlertMatcher;
  /** Epoch milliseconds. */
  readonly startsMs: number;
  /** Epoch milliseconds. */
  readonly endsMs: number;
  readonly comment: string;
}

/** Why a notification is sent. */
export type NotificationKind = 'page' | 'escalation' | 'repeat' | 'update' | 'resolved';

/** What a channel delivers. */
export interface AlertNotification {
  /** The same for every attempt, also after a restart: the receiver's key against duplicates. */
  readonly id: string;
  /** The same for every notification of one outage. */
  readonly incident: string;
  readonly kind: NotificationKind;
  readonly level: AlertLevel;
  readonly title: string;
  /** When it was decided, in epoch milliseconds. */
  readonly atMs: number;
  /** The step of the escalation, from 0. */
  readonly step: number;
  /** The labels by which the alerts are grouped. */
  readonly labels: Readonly<Record<string, string>>;
  /** How many alerts of the group fire. */
  readonly firing: number;
  /** The first of them. */
  readonly alerts: readonly { readonly name: string; readonly summary: string }[];
}

/** Where notifications go. */
export interface AlertChannel {
  /**
   * Delivers a notification. It may be called again with the same `id` when an answer was lost, also by the next
   * process. A rejection with `retryable: false` ends the attempts; `retryAfterMs` delays the next one.
   */
  send(
    notification: AlertNotification,
    options: { readonly signal: AbortSignal },
  ): Promise<unknown>;
}

/** Why a group of alerts notifies now, or does not. */
export type AlertReason =
  | 'no-alert'
  | 'muted'
  | 'waiting-for-group'
  | 'throttled'
  | 'page'
  | 'settling'
  | 'resolved'
  | 'acknowledged'
  | 'waiting-for-acknowledgement'
  | 'escalation'
  | 'escalation-exhausted'
  | 'waiting-to-repeat'
  | 'repeat'
  | 'update';

/** The answer to "why was I paged, or why not?". */
export interface AlertExplanation {
  readonly known: boolean;
  readonly level?: AlertLevel;
  readonly group?: string;
  /** The silence or the inhibiting alert that mutes it. */
  readonly mutedBy?: string;
  readonly incident?: string;
  readonly reason: AlertReason;
  /** When that changes by itself, in epoch milliseconds. */
  readonly untilMs?: number;
  /** The notifications of its incident on the way, by channel. */
  readonly undelivered: readonly {
    readonly channel: string;
    readonly attempts: number;
    readonly lastError?: string;
  }[];
  /** The same, as a sentence. */
  readonly text: string;
}

/** What became of a signal. */
export type AlertReceipt = 'fired' | 'repeated' | 'resolved' | 'unknown' | 'overflow';

/** Events of an alert manager. */
export interface AlertManagerEvents {
  /** A notification was decided and logged. */
  notified: AlertNotification;
  /** A channel has it. */
  delivered: { readonly id: string; readonly channel: string };
  /** An attempt failed; it is repeated. */
  'delivery-failed': { readonly id: string; readonly channel: string; readonly error: unknown };
  /** A channel will not get it: refused, or not delivered within `giveUpAfterMs`. */
  abandoned: { readonly id: string; readonly channel: string; readonly reason: string };
  /** Nobody acknowledged after the last loop of the escalation. */
  exhausted: { readonly incident: string };
  /** The log cannot be written: notifications are sent nevertheless, and a restart may repeat them. */
  'log-failed': { readonly error: unknown };
}

/** Counts since the start, and what is there now. */
export interface AlertManagerStats {
  readonly firing: number;
  readonly incidents: number;
  readonly undelivered: number;
  readonly received: number;
  readonly notified: number;
  readonly delivered: number;
  readonly failedAttempts: number;
  readonly abandoned: number;
  readonly overflowed: number;
  readonly unlogged: number;
}

/** Groups, mutes, sends, escalates and repeats alerts, and remembers over restarts what it has sent. */
export interface AlertManager {
  readonly on: Subscribe<AlertManagerEvents>;
  /**
   * Takes a signal. Settles when it is logged; a signal that changes nothing is not logged.
   * @throws InvalidOptionError, AlertsClosedError
   */
  receive(signal: AlertSignal): Promise<AlertReceipt>;
  /** Ends the escalation of an incident. `false` if there is no such incident. @throws AlertsClosedError */
  acknowledge(incident: string, by: string): Promise<boolean>;
  /** Adds or replaces a silence. @throws InvalidOptionError, AlertsClosedError */
  silence(silence: Silence): Promise<void>;
  /** Ends a silence. `false` if there is none. @throws AlertsClosedError */
  endSilence(id: string): Promise<boolean>;
  /** A periodic duty (option `duties`) has run. @throws InvalidOptionError for an unknown one, AlertsClosedError */
  beat(duty: string): Promise<void>;
  /** Explains what happens to an alert of this name and these labels. */
  why(signal: Pick<AlertSignal, 'name' | 'labels'>): AlertExplanation;
  /** The open incidents. */
  incidents(): readonly AlertIncident[];
  getStats(): AlertManagerStats;
  /** Waits for sends on the way, at most `closeTimeoutMs`, then aborts them; the next process sends them again. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An outage that people were told of. */
export interface AlertIncident {
  readonly id: string;
  readonly level: AlertLevel;
  readonly labels: Readonly<Record<string, string>>;
  readonly openedMs: number;
  readonly firing: number;
  readonly acknowledgedBy?: string;
  readonly step: number;
}
