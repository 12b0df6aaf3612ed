import { createHash } from 'node:crypto';
import { type Emitter, InvalidOptionError, type Timer, createEmitter } from '@holdfast/foundation';
import {
  type AlertExplanation,
  type AlertIncident,
  type AlertManager,
  type AlertManagerEvents,
  type AlertManagerStats,
  type AlertNotification,
  type AlertReceipt,
  type AlertSignal,
  type NotificationKind,
  type Silence,
} from './alerts.ts';
import { channelsOf, decideGroup, stepsIn } from './decide.ts';
import { startDeadMansSwitch } from './dead-mans-switch.ts';
import { Deliveries } from './deliveries.ts';
import { dutySignal } from './duties.ts';
import { AlertsClosedError } from './errors.ts';
import { explainAlert } from './explain.ts';
import { type Muting, fingerprintOf, labelsOf, mutingAt } from './matching.ts';
import { NotificationLog } from './notification-log.ts';
import {
  type AlertManagerOptions,
  type ParsedSignal,
  type ResolvedAlertOptions,
  parseAlertOptions,
  parseSignal,
  parseSilence,
} from './options.ts';
import { type AlertGroup, type AlertState, type LogEntry, applyEntry, forgetOld } from './state.ts';

const LISTED_ALERTS = 10;
const GROUP_HASH_LENGTH = 12;
const MIN_WAKE_MS = 1;
const MAX_WAKE_MS = 60_000;
/** The alert that says that alerts no longer fit. */
const OVERFLOW = 'HoldfastAlertsOverflow';

/**
 * Makes an alert manager, and continues what the journal says of the process before it: what was sent is not sent
 * again, and what was not is.
 * @throws InvalidOptionError, JournalReadError
 */
export async function createAlertManager(options: AlertManagerOptions): Promise<AlertManager> {
  const resolved = parseAlertOptions(options);
  const log = new NotificationLog(resolved.journal);
  const manager = new LoggedAlertManager(resolved, log, await log.read());
  manager.start();
  return manager;
}

/** Applies each change at once, logs it, and sends only what is logged. */
class LoggedAlertManager implements AlertManager {
  readonly on: Emitter<AlertManagerEvents>['on'];
  readonly #emitter: Emitter<AlertManagerEvents>;
  readonly #options: ResolvedAlertOptions;
  readonly #log: NotificationLog;
  readonly #state: AlertState;
  readonly #deliveries: Deliveries;
  /** Wall-clock time of the clock's origin; a step of the wall clock, or a restart, never goes back behind the log. */
  readonly #originMs: number;
  readonly #closing = new AbortController();
  #unlogged: LogEntry[] = [];
  #logged: Promise<void> = Promise.resolve();
  #isLogFailing = false;
  #isWriting = false;
  #isWoken = false;
  #decideAtMs = Infinity;
  #deliverAtMs = Infinity;
  #timer: Timer | undefined;
  #pings: Pick<Timer, 'cancel'> | undefined;
  #closed: Promise<void> | undefined;
  readonly #counts = { received: 0, notified: 0, overflowed: 0, unlogged: 0 };

  constructor(options: ResolvedAlertOptions, log: NotificationLog, state: AlertState) {
    this.#options = options;
    this.#log = log;
    this.#state = state;
    this.#originMs = Math.max(options.clock.epochMs(), state.atMs) - options.clock.now();
    this.#emitter = createEmitter<AlertManagerEvents>('holdfast:alerts', {
      notified: true,
      delivered: true,
      'delivery-failed': true,
      abandoned: true,
      exhausted: true,
      'log-failed': true,
    });
    this.on = this.#emitter.on;
    this.#deliveries = new Deliveries({
      options,
      state,
      emitter: this.#emitter,
      now: () => this.#now(),
      record: (entry) => this.#record(entry),
      wake: () => this.#wake(),
    });
  }

  start(): void {
    for (const duty of this.#options.duties.keys()) {
      // A duty that never ran is as old as the first start that knew of it.
      if (!this.#state.beats.has(duty)) this.#record({ kind: 'beat', atMs: this.#now(), duty });
    }
    this.#wake();
    const { deadMansSwitch, clock, sendTimeoutMs } = this.#options;
    if (deadMansSwitch !== undefined) {
      this.#pings = startDeadMansSwitch({
        ...deadMansSwitch,
        timeoutMs: sendTimeoutMs,
        clock,
        closing: this.#closing.signal,
        // The service outside is to notice that.
        isWell: () => !this.#isLogFailing,
      });
    }
  }

  async receive(signal: AlertSignal): Promise<AlertReceipt> {
    this.#assertOpen();
    this.#counts.received += 1;
    const receipt = this.#take(parseSignal(signal));
    // Also what changes nothing waits for the log: the change that it repeats may be on its way there.
    await this.#flush();
    return receipt;
  }

  async acknowledge(incident: string, by: string): Promise<boolean> {
    this.#assertOpen();
    const group = [...this.#state.groups.values()].find((each) => each.incident?.id === incident);
    if (group === undefined) return false;
    this.#record({ kind: 'acknowledged', atMs: this.#now(), group: group.key, by });
    await this.#flush();
    return true;
  }

  async silence(silence: Silence): Promise<void> {
    this.#assertOpen();
    const nowMs = this.#now();
    const parsed = parseSilence(silence, nowMs);
    this.#record({ kind: 'silenced', atMs: nowMs, silence: parsed });
    await this.#flush();
  }

  async endSilence(id: string): Promise<boolean> {
    this.#assertOpen();
    if (!this.#state.silences.has(id)) return false;
    this.#record({ kind: 'unsilenced', atMs: this.#now(), id });
    await this.#flush();
    return true;
  }

  async beat(duty: string): Promise<void> {
    this.#assertOpen();
    if (!this.#options.duties.has(duty)) {
      const known = [...this.#options.duties.keys()].join(', ');
      throw new InvalidOptionError('beat', 'duty', duty, `one of the duties (${known})`);
    }
    this.#record({ kind: 'beat', atMs: this.#now(), duty });
    this.#take({ ...dutySignal(duty, this.#options), isFiring: false });
    await this.#flush();
  }

  why(signal: Pick<AlertSignal, 'name' | 'labels'>): AlertExplanation {
    const fingerprint = fingerprintOf(labelsOf(signal));
    const nowMs = this.#now();
    return explainAlert(fingerprint, this.#state, this.#options, this.#muting(nowMs), nowMs);
  }

  incidents(): readonly AlertIncident[] {
    return [...this.#state.groups.values()].flatMap(({ incident, level, labels, firing }) => {
      if (incident === undefined) return [];
      const { id, openedMs, step, acknowledgedBy } = incident;
      const acknowledged = acknowledgedBy === undefined ? {} : { acknowledgedBy };
      return [{ id, level, labels, openedMs, step, firing: firing.size, ...acknowledged }];
    });
  }

  getStats(): AlertManagerStats {
    return {
      firing: this.#state.alerts.size,
      incidents: this.incidents().length,
      undelivered: this.#state.pending.size,
      ...this.#counts,
      ...this.#deliveries.counts,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    this.#pings?.cancel();
    this.#closing.abort(new AlertsClosedError());
    await this.#deliveries.close();
    await this.#flush();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new AlertsClosedError();
  }

  #now(): number {
    return this.#originMs + this.#options.clock.now();
  }

  #take(signal: ParsedSignal): AlertReceipt {
    const labels = labelsOf(signal);
    const fingerprint = fingerprintOf(labels);
    const known = this.#state.alerts.get(fingerprint);
    const atMs = this.#now();
    if (!signal.isFiring) {
      if (known === undefined) return 'unknown';
      this.#record({ kind: 'resolved', atMs, fingerprint });
      return 'resolved';
    }
    if (known?.level === signal.level) return 'repeated';
    if (known === undefined && this.#state.alerts.size >= this.#options.maxAlerts) {
      this.#counts.overflowed += 1;
      if (signal.name !== OVERFLOW) this.#fireOverflow(atMs);
      return 'overflow';
    }
    this.#fire(signal, atMs);
    return 'fired';
  }

  /** The alert that says so has a place beside `maxAlerts`. */
  #fireOverflow(atMs: number): void {
    const summary = `more than ${this.#options.maxAlerts} alerts fire; further ones notify nobody`;
    const signal = { name: OVERFLOW, labels: {}, level: 'critical', summary } as const;
    if (this.#state.alerts.has(fingerprintOf(labelsOf(signal)))) return;
    this.#fire(signal, atMs);
  }

  #fire(signal: Omit<ParsedSignal, 'isFiring'>, atMs: number): void {
    const { level, summary } = signal;
    const labels = labelsOf(signal);
    const names = this.#options.groupBy.map((name) => [name, labels[name] ?? ''] as const);
    const group = JSON.stringify([level, names]);
    const alert = {
      fingerprint: fingerprintOf(labels),
      labels,
      level,
      summary,
      group,
      sinceMs: atMs,
    };
    this.#record({ kind: 'fired', atMs, alert, groupLabels: Object.fromEntries(names) });
  }

  #record(entry: LogEntry): void {
    applyEntry(this.#state, entry);
    this.#unlogged.push(entry);
    this.#wake();
  }

  /** Settles when everything recorded so far is logged, or could not be. */
  #flush(): Promise<void> {
    if (this.#unlogged.length > 0) this.#logged = this.#logged.then(() => this.#writeLog());
    return this.#logged;
  }

  async #writeLog(): Promise<void> {
    const entries = this.#unlogged;
    if (entries.length === 0) return;
    this.#unlogged = [];
    this.#isWriting = true;
    try {
      await this.#log.append(entries);
      this.#isLogFailing = false;
      if (this.#log.wantsSnapshot) await this.#log.snapshot(this.#state);
    } catch (error) {
      // A page that a full disk holds back would be the worse failure.
      this.#isLogFailing = true;
      this.#counts.unlogged += entries.length;
      this.#emitter.emit('log-failed', { error });
    } finally {
      this.#isWriting = false;
    }
  }

  /** Decides anew once the changes of this turn are made. */
  #wake(): void {
    if (this.#isWoken || this.#closed !== undefined) return;
    this.#isWoken = true;
    queueMicrotask(() => {
      this.#isWoken = false;
      if (this.#closed === undefined) void this.#decide();
    });
  }

  async #decide(): Promise<void> {
    const nowMs = this.#now();
    // Known once all of this is logged, which wakes again.
    this.#deliverAtMs = Infinity;
    forgetOld(this.#state, nowMs, this.#options.retentionMs);
    let untilMs = Math.min(nowMs + MAX_WAKE_MS, this.#checkDuties(nowMs));
    const notified: AlertNotification[] = [];
    const muting = this.#muting(nowMs);
    for (const group of this.#state.groups.values()) {
      const level = this.#options.levels[group.level];
      const decision = decideGroup(group, level, this.#state, muting, nowMs);
      untilMs = Math.min(untilMs, decision.untilMs ?? Infinity);
      if (decision.notify === undefined) continue;
      const { kind, step } = decision.notify;
      notified.push(this.#notify(group, kind, step, nowMs));
    }
    this.#decideAtMs = Math.min(untilMs, muting.changesMs ?? Infinity);
    this.#arm();
    // Also what other turns recorded meanwhile: nothing is sent before it is logged.
    do await this.#flush();
    while (this.#unlogged.length > 0 || this.#isWriting);
    for (const notification of notified) this.#announce(notification);
    if (this.#closed !== undefined) return;
    this.#deliverAtMs = this.#deliveries.startDue();
    this.#arm();
  }

  #notify(
    group: AlertGroup,
    kind: NotificationKind,
    step: number,
    atMs: number,
  ): AlertNotification {
    const { level, labels, firing, key } = group;
    const hash = createHash('sha256').update(key).digest('hex').slice(0, GROUP_HASH_LENGTH);
    const incident = group.incident?.id ?? `${hash}-${atMs.toString(36)}`;
    const alerts = [...firing].slice(0, LISTED_ALERTS).flatMap((fingerprint) => {
      const alert = this.#state.alerts.get(fingerprint);
      return alert === undefined
        ? []
        : [{ name: alert.labels['alertname'] ?? '', summary: alert.summary }];
    });
    const title = alerts[0]?.summary ?? Object.values(labels).join(' ');
    const id = `${incident}/${kind}/${atMs.toString(36)}`;
    const notification: AlertNotification = {
      id,
      incident,
      kind,
      level,
      title,
      atMs,
      step,
      labels,
      firing: firing.size,
      alerts,
    };
    const channels = channelsOf(this.#options.levels[level], kind, step);
    this.#record({ kind: 'notified', atMs, group: key, channels, notification });
    return notification;
  }

  #announce(notification: AlertNotification): void {
    this.#counts.notified += 1;
    this.#emitter.emit('notified', notification);
    const level = this.#options.levels[notification.level];
    const isLast = notification.step === stepsIn(level) - 1;
    if (notification.kind === 'escalation' && isLast) {
      this.#emitter.emit('exhausted', { incident: notification.incident });
    }
  }

  #muting(nowMs: number): Muting {
    const { alerts, silences } = this.#state;
    return mutingAt(nowMs, silences.values(), this.#options.inhibitions, alerts.values());
  }

  /** Fires for the duties that are late. @returns when the next one is. */
  #checkDuties(nowMs: number): number {
    let nextMs = Infinity;
    for (const [duty, { everyMs }] of this.#options.duties) {
      const lateMs = (this.#state.beats.get(duty) ?? nowMs) + everyMs;
      if (lateMs > nowMs) nextMs = Math.min(nextMs, lateMs);
      else this.#take({ ...dutySignal(duty, this.#options), isFiring: true });
    }
    return nextMs;
  }

  #arm(): void {
    this.#timer?.cancel();
    const atMs = Math.min(this.#decideAtMs, this.#deliverAtMs);
    const delayMs = Math.max(MIN_WAKE_MS, atMs - this.#now());
    const wake = (): void => this.#wake();
    this.#timer = this.#options.clock.schedule(delayMs, wake, { holdsProcess: false });
  }
}
