import type { Random } from '@holdfast/foundation';

/** The options of a {@link Gradient}, validated. */
interface GradientOptions {
  readonly initialLimit: number;
  readonly minLimit: number;
  readonly maxLimit: number;
  readonly latencyTolerance: number;
  readonly windowMs: number;
  readonly minimumSamples: number;
  readonly remeasureEveryMs: number;
  readonly random: Random;
}

/** Share of the limit that a calm window adds; ten windows double it. */
const GROWTH = 0.1;

/** A window takes away at most half of the limit. */
const LEAST_FACTOR = 0.5;

/** The cut for drops in one window, and the share of drops at which it applies in full. */
const DROP_CUT = 0.15;
const DROP_SHARE = 0.1;

/** A single outlier counts as at most this many baselines. */
const OUTLIER = 4;

/** The share of the limit in use while the baseline is measured: small enough that our calls do not queue. */
const MEASURING_SHARE = 0.25;

/** After this many cuts in a row without effect, the baseline is measured again. */
const INEFFECTIVE_CUTS = 8;

/** How fast a shorter latency lowers the baseline. */
const LOWERING_RATE = 0.3;

type Phase =
  /** Windows adjust the limit. */
  | { readonly kind: 'adjusting' }
  /** One window under a reduced limit sets the baseline. */
  | { readonly kind: 'measuring' };

/**
 * The limit as a plain object: latencies and drops in, a number of calls out.
 *
 *              every remeasureEveryMs, or after cuts without effect
 *   adjusting -----------------------------------------------> measuring
 *      ^                                                          |
 *      +------------- one window: the new baseline ---------------+
 *
 * Each window multiplies the limit by `tolerance x baseline / latency`, clamped to 0.5..1, and takes off
 * up to 15 % for drops, then adds a tenth if the limit was in use. The baseline is the latency without a queue of
 * our calls at the server: measured under a quarter of the limit, and lowered by any faster window. It never
 * follows the latencies of an overload, so that a long incident does not become normal and a mild one does not
 * raise the limit.
 * Sources: Netflix concurrency-limits, Gradient2 (gradient and tolerance); Envoy, adaptive concurrency
 * filter (measuring the minimum under a low limit).
 */
export class Gradient {
  readonly #options: GradientOptions;
  #phase: Phase = { kind: 'adjusting' };
  #limit: number;
  #baselineMs: number | undefined;
  #remeasureAtMs: number;
  #ineffectiveCuts = 0;

  /** Calls that started before ran under another limit; they do not count. */
  #countFromMs: number;

  // The current window.
  #startedMs: number;
  #samples = 0;
  #latencySumMs = 0;
  #drops = 0;
  #peakInFlight = 0;

  constructor(options: GradientOptions, nowMs: number) {
    this.#options = options;
    this.#limit = options.initialLimit;
    this.#startedMs = nowMs;
    this.#countFromMs = nowMs;
    // The first calls may have met a queue already: measure again soon.
    this.#remeasureAtMs = nowMs + options.windowMs * INEFFECTIVE_CUTS;
  }

  /** How many calls may run now. */
  get limit(): number {
    const limit = Math.floor(this.#limit);
    return this.#phase.kind === 'adjusting' ? limit : this.#reduced(limit);
  }

  get baselineMs(): number | undefined {
    return this.#baselineMs;
  }

  /**
   * A call ended.
   * @param latencyMs how long it took, or `undefined` when the server dropped it: refused for overload or
   * did not respond in time. The time until then says nothing about a served call.
   * @param inFlight how many calls ran when it started, itself included.
   */
  ended(startedMs: number, nowMs: number, latencyMs: number | undefined, inFlight: number): void {
    if (startedMs < this.#countFromMs) return;
    this.#peakInFlight = Math.max(this.#peakInFlight, inFlight);
    if (latencyMs === undefined) {
      this.#drops += 1;
    } else {
      this.#samples += 1;
      this.#latencySumMs += Math.min(latencyMs, OUTLIER * (this.#baselineMs ?? latencyMs));
    }
    const enough = this.#samples + this.#drops >= this.#options.minimumSamples;
    if (enough && nowMs - this.#startedMs >= this.#windowMs()) this.#close(nowMs);
  }

  /** A window spans at least a few calls in sequence, or it sees only the fast ones. */
  #windowMs(): number {
    const ownMs = this.#phase.kind === 'measuring' ? 0 : this.#options.windowMs;
    return Math.max(ownMs, 2 * (this.#baselineMs ?? 0));
  }

  #close(nowMs: number): void {
    const meanMs = this.#samples > 0 ? this.#latencySumMs / this.#samples : undefined;
    if (this.#phase.kind === 'measuring') this.#measured(meanMs, nowMs);
    else this.#adjust(meanMs, nowMs);
    this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#startedMs = nowMs;
    this.#samples = 0;
    this.#latencySumMs = 0;
    this.#drops = 0;
    this.#peakInFlight = 0;
  }

  #adjust(meanMs: number | undefined, nowMs: number): void {
    const { latencyTolerance } = this.#options;
    const dropFactor = factorForDrops(this.#drops, this.#samples);
    let gradient = 1;
    if (meanMs !== undefined) {
      this.#lowerBaseline(meanMs);
      const baselineMs = this.#baselineMs ?? meanMs;
      gradient = Math.min(1, (latencyTolerance * baselineMs) / meanMs);
    }
    const factor = Math.max(LEAST_FACTOR, gradient * dropFactor);
    if (factor < 1 / (1 + GROWTH)) this.#countFromMs = nowMs;
    const inUse = this.#peakInFlight >= this.#limit / 2;
    this.#setLimit(this.#limit * factor + (inUse ? Math.max(1, this.#limit * GROWTH) * factor : 0));
    this.#ineffectiveCuts = gradient < 1 / (1 + GROWTH) ? this.#ineffectiveCuts + 1 : 0;
    if (nowMs >= this.#remeasureAtMs || this.#ineffectiveCuts >= INEFFECTIVE_CUTS) {
      this.#ineffectiveCuts = 0;
      this.#phase = { kind: 'measuring' };
      this.#countFromMs = nowMs;
    }
  }

  #measured(meanMs: number | undefined, nowMs: number): void {
    if (meanMs !== undefined) this.#baselineMs = meanMs;
    const { remeasureEveryMs, random } = this.#options;
    // With jitter, so that many clients do not reduce their load on one server at the same time.
    this.#remeasureAtMs = nowMs + remeasureEveryMs * (0.75 + random() / 2);
    this.#phase = { kind: 'adjusting' };
    this.#countFromMs = nowMs;
  }

  #lowerBaseline(meanMs: number): void {
    const baselineMs = this.#baselineMs ?? meanMs;
    const difference = Math.min(0, meanMs - baselineMs);
    this.#baselineMs = baselineMs + LOWERING_RATE * difference;
  }

  #reduced(limit: number): number {
    return Math.max(this.#options.minLimit, Math.floor(limit * MEASURING_SHARE));
  }

  #setLimit(limit: number): void {
    this.#limit = Math.min(this.#options.maxLimit, Math.max(this.#options.minLimit, limit));
  }
}

/**
 * The factor that a window's drops leave of the limit. A dropped call ends at once and the next one takes its
 * place, so that one excess call causes a large share of drops: the presence of drops counts more than their share.
 */
function factorForDrops(drops: number, samples: number): number {
  if (samples === 0) return LEAST_FACTOR;
  const share = drops / (drops + samples);
  return 1 - DROP_CUT * Math.min(1, share / DROP_SHARE);
}
