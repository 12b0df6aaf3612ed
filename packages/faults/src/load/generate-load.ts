import { performance } from 'node:perf_hooks';
import { type Distribution, onAbort, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import type { ErrorKind } from '@holdfast/resilience';
import { arrivalTimes } from './arrivals.ts';
import { type LoadFindings, findingsOf } from './findings.ts';
import { type LoadOptions, type ResolvedLoad, type Work, parseLoad } from './load-options.ts';
import {
  type Arrival,
  type LoadCounts,
  LoadRecord,
  type LoadStep,
  type LoadWindow,
  errorRateOf,
} from './load-record.ts';
import { SLICE_MS, yieldTurn } from './turns.ts';

/** What a load showed; `offered` is the sum of the other counts. Durations are in milliseconds. */
export interface LoadResult extends LoadCounts, LoadFindings {
  readonly scenario: string;
  /** The window in which requests were started, without the drain. */
  readonly duration: number;
  /** The most requests sent in a second, by the fullest window of the timeline. */
  readonly peakLoad: number;
  readonly peakInFlight: number;
  /** The share of arrivals that did not succeed, 0 to 1; also those dropped or without a response. */
  readonly errorRate: number;
  /** Failed responses by kind. */
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  /**
   * Of every arrival, from when its request was to be sent, so that a stall counts for all that arrive meanwhile
   * (corrected for coordinated omission). Without a response it is the wait until the end, the least it would have
   * been. In the closed model a request is to be sent when its user is free.
   */
  readonly latency: Distribution;
  /** The same as `latency`. */
  readonly responseTimes: Distribution;
  /** Of every request sent, from when it was sent. */
  readonly serviceTime: Distribution;
  /** Open model: how late the generator itself sent requests; above a few milliseconds it measures itself. */
  readonly sendDelay: Distribution;
  /** From the first window to the last with an arrival or a response, also those without. */
  readonly timeline: readonly LoadWindow[];
  /** One for each stage; without `stages` it is one. */
  readonly ramp: readonly LoadStep[];
  /** With the drain. */
  readonly elapsedMs: number;
  /** Successes within `duration`, divided by it; what came in the drain does not count. */
  readonly succeededPerSecond: number;
}

/** An arrival beyond `maxInFlight` is dropped when no request in flight had its response for so long. */
const HOLD_MS = 2;
const LEAST_WAIT_MS = 0.001;

/**
 * Sends requests as users would, and measures the latency they would see. The event loop gets a turn each millisecond.
 * @param work one request, which rejects when it fails: `expectOk` makes an HTTP status of an error one.
 * @throws InvalidOptionError, or the signal's reason.
 */
export async function generateLoad(work: Work, given: LoadOptions): Promise<LoadResult> {
  const options = parseLoad(work, given);
  const { signal } = options;
  signal?.throwIfAborted();
  const load = new Load(work, options);
  try {
    await load.run();
    await load.drain();
    signal?.throwIfAborted();
    return load.result();
  } finally {
    load.end(signal?.reason ?? new DOMException('the load is over', 'AbortError'));
  }
}

/** The requests of one load and their results. */
class Load {
  readonly #work: Work;
  readonly #options: ResolvedLoad;
  readonly #record: LoadRecord;
  readonly #ending = new AbortController();
  readonly #beganMs: number;
  readonly #endMs: number;
  readonly #inFlight = new Set<Arrival>();
  #sent = 0;
  /** When the event loop last had a turn. */
  #turnedMs: number;
  /** How long the event loop had been waiting when last asked, since the process began. */
  #idleMs = 0;
  /** When the last response came. */
  #answeredMs: number;
  #whenIdle = (): void => {};

  constructor(work: Work, options: ResolvedLoad) {
    this.#work = work;
    this.#options = options;
    this.#beganMs = options.clock.now();
    this.#endMs = this.#beganMs + options.durationMs;
    this.#turnedMs = this.#beganMs;
    this.#answeredMs = this.#beganMs;
    this.#record = new LoadRecord(options, this.#beganMs);
  }

  async run(): Promise<void> {
    const { clock, isOpen, signal } = this.#options;
    if (isOpen) await this.#runOpen();
    else await this.#startUsers();
    // A timer may be a little early.
    for (let leftMs = this.#endMs - clock.now(); leftMs > 0; leftMs = this.#endMs - clock.now()) {
      await sleep(clock, Math.max(leftMs, LEAST_WAIT_MS), signal);
    }
  }

  /** Resolves when no request is in flight, at the deadline, or at the caller's abort. */
  drain(): Promise<void> {
    const { clock, drainTimeoutMs, signal } = this.#options;
    return new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        release();
        resolve();
      };
      const leftMs = Math.max(0, this.#endMs + drainTimeoutMs - clock.now());
      const timer = clock.schedule(leftMs, finish);
      this.#whenIdle = finish;
      const release = onAbort(signal, finish);
      if (signal?.aborted === true || this.#inFlight.size === 0) finish();
    });
  }

  end(reason: unknown): void {
    this.#ending.abort(reason);
  }

  result(): LoadResult {
    const { clock, name, durationMs, windowMs } = this.#options;
    const record = this.#record;
    const nowMs = clock.now();
    for (const arrival of this.#inFlight) record.unanswered(arrival, nowMs);
    const timeline = record.timeline();
    const latency = record.total.latency.read();
    const { counts } = record.total;
    // A window from the end on has responses alone, and no time in which requests are sent.
    const rates = timeline
      .filter(({ atMs }) => atMs < durationMs)
      .map(
        ({ atMs, offered, dropped }) =>
          ((offered - dropped) / Math.min(windowMs, durationMs - atMs)) * 1_000,
      );
    const measured = {
      ...counts,
      scenario: name,
      duration: durationMs,
      peakLoad: rates.reduce((most, rate) => Math.max(most, rate), 0),
      peakInFlight: record.peakInFlight,
      errorRate: errorRateOf(counts),
      errors: record.errors,
      latency,
      responseTimes: latency,
      serviceTime: record.readServiceTime(),
      sendDelay: record.sendDelay.read(),
      timeline,
      ramp: record.ramp(),
      elapsedMs: nowMs - this.#beganMs,
      succeededPerSecond: (record.succeededInTime / durationMs) * 1_000,
    };
    return { ...measured, ...findingsOf(measured, record.unsent, this.#options) };
  }

  /** Starts requests when they arrive, however slow the responses are. */
  async #runOpen(): Promise<void> {
    const { clock, signal, stages, arrivals, seed, drainTimeoutMs, maxInFlight } = this.#options;
    const times = arrivalTimes(stages, arrivals, seededRandom(seed));
    let intendedMs = this.#beganMs + times();
    let wakeMs = this.#beganMs;
    /** A load that is full because the event loop was blocked is excused for as long: responses are still to be read. */
    let excusedMs = 0;
    while (intendedMs < this.#endMs) {
      const turnMs = clock.now();
      if (turnMs >= this.#endMs + drainTimeoutMs) break;
      const lateMs = turnMs - wakeMs;
      if (lateMs > SLICE_MS) excusedMs = Math.max(excusedMs, turnMs + lateMs);
      const dropMs = turnMs < excusedMs ? Number.NEGATIVE_INFINITY : turnMs - HOLD_MS;
      let nowMs = turnMs;
      while (intendedMs <= nowMs && intendedMs < this.#endMs && nowMs < turnMs + SLICE_MS) {
        if (this.#inFlight.size < maxInFlight) void this.#send(intendedMs, nowMs);
        else if (intendedMs <= dropMs) this.#record.dropped(intendedMs, nowMs);
        else break;
        intendedMs = this.#beganMs + times();
        nowMs = clock.now();
      }
      const nextMs = Math.min(intendedMs, this.#endMs);
      wakeMs = Math.max(turnMs + SLICE_MS, nextMs);
      await this.#idle(nextMs - nowMs);
      signal?.throwIfAborted();
    }
    await this.#dropRest(intendedMs, () => this.#beganMs + times());
  }

  /** Waits for the next arrival, or for a turn when one is due already. */
  async #idle(waitMs: number): Promise<void> {
    const { clock, signal } = this.#options;
    // A wait too short to change the clock's number would be repeated for ever.
    if (waitMs > 0) await sleep(clock, Math.max(waitMs, LEAST_WAIT_MS), signal);
    // Spinning would read no responses where there are none.
    else if (this.#isStuck) await sleep(clock, SLICE_MS, signal);
    else await yieldTurn(clock, SLICE_MS);
  }

  /** Counts the arrivals that are still due when no more are sent. */
  async #dropRest(first: number, next: () => number): Promise<void> {
    const { clock, signal } = this.#options;
    let turnMs = clock.now();
    for (let intendedMs = first; intendedMs < this.#endMs; intendedMs = next()) {
      const nowMs = clock.now();
      this.#record.unsent += 1;
      this.#record.dropped(intendedMs, nowMs);
      if (nowMs - turnMs < SLICE_MS) continue;
      await yieldTurn(clock);
      signal?.throwIfAborted();
      turnMs = clock.now();
    }
  }

  async #startUsers(): Promise<void> {
    const { users, clock, signal } = this.#options;
    for (let user = 0; user < users; user += 1) {
      void this.#runUser();
      if (clock.now() - this.#turnedMs < SLICE_MS) continue;
      await this.#turn();
      signal?.throwIfAborted();
    }
  }

  /** Sends one request after the other. */
  async #runUser(): Promise<void> {
    const { clock, thinkTimeMs } = this.#options;
    const { signal } = this.#ending;
    let nowMs = clock.now();
    while (nowMs < this.#endMs && !signal.aborted) {
      const sentMs = nowMs;
      // Not by another function: one more promise for each request is felt in the throughput of a fast service.
      const arrival = this.#begin(sentMs, sentMs);
      let failure: { readonly error: unknown } | undefined;
      try {
        await this.#work(signal, this.#sent);
      } catch (error) {
        failure = { error };
      }
      if (signal.aborted) return;
      nowMs = this.#finish(arrival, failure);
      if (thinkTimeMs > 0) {
        await sleep(clock, thinkTimeMs, signal).catch(() => {});
        nowMs = clock.now();
      } else if (this.#isTurnDue(sentMs, nowMs)) {
        await this.#turn();
        nowMs = clock.now();
      }
    }
  }

  /**
   * The event loop that has waited for responses meanwhile has had a turn. On a clock of a test, a request that takes no
   * time would be followed by others for ever.
   */
  #isTurnDue(sentMs: number, nowMs: number): boolean {
    if (this.#options.clock !== systemClock) return nowMs === sentMs;
    if (nowMs - this.#turnedMs < SLICE_MS) return false;
    const idleMs = performance.nodeTiming.idleTime;
    const hadTurn = idleMs > this.#idleMs;
    this.#idleMs = idleMs;
    if (hadTurn) this.#turnedMs = nowMs;
    return !hadTurn;
  }

  async #turn(): Promise<void> {
    const { clock } = this.#options;
    await yieldTurn(clock);
    this.#turnedMs = clock.now();
  }

  /** Whether all requests in flight have been silent for a while. */
  get #isStuck(): boolean {
    const { clock, maxInFlight } = this.#options;
    return this.#inFlight.size >= maxInFlight && clock.now() - this.#answeredMs > HOLD_MS;
  }

  /** @param intendedMs when the request was to be sent. */
  async #send(intendedMs: number, sentMs: number): Promise<void> {
    const { signal } = this.#ending;
    const arrival = this.#begin(intendedMs, sentMs);
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#work(signal, this.#sent);
    } catch (error) {
      failure = { error };
    }
    if (!signal.aborted) this.#finish(arrival, failure);
  }

  #begin(intendedMs: number, sentMs: number): Arrival {
    const arrival = { intendedMs, sentMs };
    this.#inFlight.add(arrival);
    this.#record.sent(arrival, this.#inFlight.size);
    this.#sent += 1;
    return arrival;
  }

  /** Returns the time. */
  #finish(arrival: Arrival, failure: { readonly error: unknown } | undefined): number {
    const nowMs = this.#options.clock.now();
    this.#inFlight.delete(arrival);
    this.#answeredMs = nowMs;
    this.#record.answered(arrival, nowMs, failure);
    if (this.#inFlight.size === 0) this.#whenIdle();
    return nowMs;
  }
}
