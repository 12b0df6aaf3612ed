import type { Random } from '@holdfast/foundation';

/** The settings of a {@link Gradient}, all of them present and in range. */
export interface GradientOptions {
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

/** No window takes away more than half. */
const STEEPEST = 0.5;

/** What drops take away in one window, and the share of drops at which they do so in full. */
const DROP_CUT = 0.15;
const DROP_SHARE = 0.1;

/** A single outlier counts as so many baselines at most. */
const OUTLIER = 4;

/** While the baseline is measured, so small a share of the limit is used that no queue of ours stands. */
const MEASURING_SHARE = 0.25;

/** After so many windows in a row that cut in vain, the baseline itself is in doubt. */
const VAIN_CUTS = 8;

/** How fast a shorter latency lowers the baseline. */
const LOWERING = 0.3;

type Phase =
  /** Windows adjust the limit. */
  | { readonly at: 'steering' }
  /** One window under a reduced limit sets the baseline. */
  | { readonly at: 'measuring' };

/**
 * The limit as a plain object: latencies and drops in, a number of calls out.
 *
 *              every remeasureEveryMs, or after cuts in vain
 *   steering ------------------------------------------------> measuring
 *      ^                                                          |
 *      +------------- one window: the new baseline ---------------+
 *
 * Each window multiplies the limit by `tolerance x baseline / latency`, clamped to 0.5..1, and takes off
 * up to 15 % for drops, then adds a tenth if the limit was in use. The baseline is what a call takes
 * when no queue of ours stands before the server: measured on purpose under a quarter of the limit, and lowered
 * by anything faster. It never follows the latencies of an overload, so that a long incident does not
 * become the norm and a mild one does not let the limit creep up.
 * Sources: Netflix concurrency-limits, Gradient2 (gradient and tolerance); Envoy, adaptive concurrency
 * filter (measuring the minimum under a low limit).
 */
export class Gradient {
  readonly #settings: GradientOptions;
  #phase: Phase = { at: 'steering' };
  #limit: number;
  #baselineMs: number | undefined;
  #remeasureAtMs: number;
  #vainCuts = 0;

  /** Calls that started earlier met another limit's queue; they tell nothing about this one's. */
  #countFromMs: number;

  // The window under way.
  #startedMs: number;
  #samples = 0;
  #latencySumMs = 0;
  #drops = 0;
  #peakInFlight = 0;

  constructor(settings: GradientOptions, nowMs: number) {
    this.#settings = settings;
    this.#limit = settings.initialLimit;
    this.#startedMs = nowMs;
    this.#countFromMs = nowMs;
    // The first calls may have met a queue already: soon look again.
    this.#remeasureAtMs = nowMs + settings.windowMs * VAIN_CUTS;
  }

  /** How many calls may run now. */
  get limit(): number {
    const whole = Math.floor(this.#limit);
    return this.#phase.at === 'steering' ? whole : this.#reduced(whole);
  }

  get baselineMs(): number | undefined {
    return this.#baselineMs;
  }

  /**
   * A call ended.
   * @param latencyMs how long it took, or `undefined` when the server dropped it: refused for overload or
   * never answered. How long that took says nothing about a call that is served.
   * @param inFlight how many ran when it started, itself included.
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
    const enough = this.#samples + this.#drops >= this.#settings.minimumSamples;
    if (enough && nowMs - this.#startedMs >= this.#windowMs()) this.#close(nowMs);
  }

  /** A window spans at least a few calls in sequence, or it sees only the fast ones. */
  #windowMs(): number {
    const ownMs = this.#phase.at === 'measuring' ? 0 : this.#settings.windowMs;
    return Math.max(ownMs, 2 * (this.#baselineMs ?? 0));
  }

  #close(nowMs: number): void {
    const meanMs = this.#samples > 0 ? this.#latencySumMs / this.#samples : undefined;
    if (this.#phase.at === 'measuring') this.#measured(meanMs, nowMs);
    else this.#steer(meanMs, nowMs);
    this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#startedMs = nowMs;
    this.#samples = 0;
    this.#latencySumMs = 0;
    this.#drops = 0;
    this.#peakInFlight = 0;
  }

  #steer(meanMs: number | undefined, nowMs: number): void {
    const { latencyTolerance } = this.#settings;
    const kept = keptAfterDrops(this.#drops, this.#samples);
    let gradient = 1;
    if (meanMs !== undefined) {
      this.#lower(meanMs);
      const baselineMs = this.#baselineMs ?? meanMs;
      gradient = Math.min(1, (latencyTolerance * baselineMs) / meanMs);
    }
    const factor = Math.max(STEEPEST, gradient * kept);
    if (factor < 1 / (1 + GROWTH)) this.#countFromMs = nowMs;
    const inUse = this.#peakInFlight >= this.#limit / 2;
    this.#setLimit(this.#limit * factor + (inUse ? Math.max(1, this.#limit * GROWTH) * factor : 0));
    this.#vainCuts = gradient < 1 / (1 + GROWTH) ? this.#vainCuts + 1 : 0;
    if (nowMs >= this.#remeasureAtMs || this.#vainCuts >= VAIN_CUTS) {
      this.#vainCuts = 0;
      this.#phase = { at: 'measuring' };
      this.#countFromMs = nowMs;
    }
  }

  #measured(meanMs: number | undefined, nowMs: number): void {
    if (meanMs !== undefined) this.#baselineMs = meanMs;
    const { remeasureEveryMs, random } = this.#settings;
    // Spread, so that many clients do not all spare the same server at the same moment.
    this.#remeasureAtMs = nowMs + remeasureEveryMs * (0.75 + random() / 2);
    this.#phase = { at: 'steering' };
    this.#countFromMs = nowMs;
  }

  #lower(meanMs: number): void {
    const baselineMs = this.#baselineMs ?? meanMs;
    const shorter = Math.min(0, meanMs - baselineMs);
    this.#baselineMs = baselineMs + LOWERING * shorter;
  }

  #reduced(limit: number): number {
    return Math.max(this.#settings.minLimit, Math.floor(limit * MEASURING_SHARE));
  }

  #setLimit(limit: number): void {
    this.#limit = Math.min(this.#settings.maxLimit, Math.max(this.#settings.minLimit, limit));
  }
}

/**
 * The part of the limit that a window's drops leave. A drop is over at once and its place is taken by the next
 * call, so that just one call too many drops a large share: what counts is whether there are drops, not quite how many.
 */
function keptAfterDrops(drops: number, samples: number): number {
  if (samples === 0) return STEEPEST;
  const share = drops / (drops + samples);
  return 1 - DROP_CUT * Math.min(1, share / DROP_SHARE);
}
