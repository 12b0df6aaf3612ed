import {
  type Emitter,
  type Timer,
  abortable,
  describeThrown,
  isHoldfastError,
  retryAfterMsOf,
  settlesWithin,
} from '@holdfast/foundation';
import { ALERT_LEVELS, type AlertManagerEvents } from './alerts.ts';
import { AlertChannelTimeoutError, AlertsClosedError } from './errors.ts';
import type { ResolvedAlertOptions } from './options.ts';
import { type AlertState, type LogEntry, type PendingDelivery } from './state.ts';

const HOUR_MS = 3_600_000;
const FIRST_DELAY_MS = 1_000;
const JITTER = 0.1;
const MAX_DOUBLINGS = 20;
const MAX_SENDS_A_CHANNEL = 4;

/** What {@link Deliveries} works with. */
interface DeliveriesDeps {
  readonly options: ResolvedAlertOptions;
  readonly state: AlertState;
  readonly emitter: Emitter<AlertManagerEvents>;
  readonly now: () => number;
  readonly record: (entry: LogEntry) => void;
  readonly wake: () => void;
}

/** Sends what is pending: the urgent first, each channel at its pace, each incident in order, until it is there. */
export class Deliveries {
  readonly counts = { delivered: 0, failedAttempts: 0, abandoned: 0 };
  readonly #deps: DeliveriesDeps;
  readonly #sends = new Map<PendingDelivery, { abort: AbortController; done: Promise<void> }>();
  #isClosed = false;

  constructor(deps: DeliveriesDeps) {
    this.#deps = deps;
  }

  /** Starts what may be sent now. @returns when to call again, in epoch milliseconds. */
  startDue(): number {
    const nowMs = this.#deps.now();
    let untilMs = Infinity;
    const earlier = new Set<string>();
    const ordered = [...this.#deps.state.pending.values()].toSorted(
      (a, b) => urgency(a) - urgency(b),
    );
    for (const delivery of ordered) {
      const { channel, notification } = delivery;
      // The end of an incident must not arrive before its begin.
      const order = `${channel} ${notification.incident}`;
      const isNext = !earlier.has(order);
      earlier.add(order);
      if (!isNext || delivery.isInFlight) continue;
      const dueMs = Math.max(delivery.dueMs, this.#roomMs(channel, nowMs));
      if (dueMs <= nowMs) this.#start(delivery);
      else untilMs = Math.min(untilMs, dueMs);
    }
    return untilMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const { clock, closeTimeoutMs } = this.#deps.options;
    const sends = [...this.#sends.values()];
    const all = Promise.allSettled(sends.map(({ done }) => done));
    await settlesWithin(clock, closeTimeoutMs, all);
    for (const { abort } of sends) abort.abort(new AlertsClosedError());
  }

  /** When the channel may get a further notification. */
  #roomMs(channel: string, nowMs: number): number {
    let inFlight = 0;
    for (const each of this.#sends.keys()) if (each.channel === channel) inFlight += 1;
    if (inFlight >= MAX_SENDS_A_CHANNEL) return Infinity;
    const recent = this.#deps.state.sent.get(channel)?.filter((ms) => ms > nowMs - HOUR_MS) ?? [];
    const over = recent.length + inFlight - this.#deps.options.maxPerHour;
    return over < 0 ? nowMs : (recent[over] ?? nowMs) + HOUR_MS;
  }

  #start(delivery: PendingDelivery): void {
    const abort = new AbortController();
    delivery.isInFlight = true;
    delivery.attempts += 1;
    const done = this.#send(delivery, abort).then(
      () => this.#succeeded(delivery),
      (error: unknown) => this.#failed(delivery, error),
    );
    this.#sends.set(delivery, { abort, done });
  }

  async #send(delivery: PendingDelivery, abort: AbortController): Promise<void> {
    const { options } = this.#deps;
    const { channel, notification } = delivery;
    const { sendTimeoutMs } = options;
    const target = options.channels.get(channel);
    if (target === undefined) throw new UnknownChannel(channel);
    const timer: Timer = options.clock.schedule(sendTimeoutMs, () =>
      abort.abort(new AlertChannelTimeoutError(channel, sendTimeoutMs)),
    );
    try {
      // A channel that ignores its signal must not hold the others either.
      await abortable(target.send(notification, { signal: abort.signal }), abort.signal);
    } finally {
      timer.cancel();
    }
  }

  #succeeded(delivery: PendingDelivery): void {
    const { channel } = delivery;
    const { id } = delivery.notification;
    this.#sends.delete(delivery);
    this.counts.delivered += 1;
    this.#deps.record({ kind: 'delivered', atMs: this.#deps.now(), id, channel });
    this.#deps.emitter.emit('delivered', { id, channel });
  }

  #failed(delivery: PendingDelivery, error: unknown): void {
    const { options, emitter, now } = this.#deps;
    const { channel, notification } = delivery;
    const { id, atMs } = notification;
    this.#sends.delete(delivery);
    delivery.isInFlight = false;
    // Closing aborts a send; the next process sends it again, with the same id.
    if (this.#isClosed) return;
    delivery.lastError = describeThrown(error);
    this.counts.failedAttempts += 1;
    emitter.emit('delivery-failed', { id, channel, error });
    const isRefused = isHoldfastError(error) && !error.retryable;
    if (isRefused || error instanceof UnknownChannel || now() - atMs >= options.giveUpAfterMs) {
      const reason = isRefused ? 'refused' : 'not delivered in time';
      this.counts.abandoned += 1;
      this.#deps.record({ kind: 'abandoned', atMs: now(), id, channel });
      emitter.emit('abandoned', { id, channel, reason });
      return;
    }
    delivery.dueMs = now() + this.#delayMs(delivery, error);
    this.#deps.wake();
  }

  #delayMs(delivery: PendingDelivery, error: unknown): number {
    const { maxRetryDelayMs, random, clock } = this.#deps.options;
    const doublings = Math.min(MAX_DOUBLINGS, delivery.attempts - 1);
    const jitter = 1 + JITTER * (2 * random() - 1);
    const nominalMs = FIRST_DELAY_MS * 2 ** doublings * jitter;
    const requestedMs = retryAfterMsOf(error, clock.epochMs()) ?? 0;
    return Math.round(Math.min(maxRetryDelayMs, Math.max(nominalMs, requestedMs)));
  }
}

/** The channel was in the options of an earlier process only. */
class UnknownChannel extends Error {
  constructor(channel: string) {
    super(`the channel ${channel} is no longer there`);
  }
}

function urgency(delivery: PendingDelivery): number {
  return ALERT_LEVELS.indexOf(delivery.notification.level);
}
