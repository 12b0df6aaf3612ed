import type { Sample } from './samples.ts';

/** A time in which an endpoint was outside its steady state. */
export interface Outage {
  firstBad: Sample;
  lastBad: Sample;
}

interface OutageDetectorOptions {
  /** The share of bad probes the endpoint has without a fault. */
  readonly badShare: number;
  /** How likely any outage may be detected in probes that are bad by chance alone. */
  readonly errorProbability: number;
  /** How many good probes, net of bad ones, end an outage at least. */
  readonly stableProbes: number;
}

/** An outage in which only a share of the probes is bad is called over this early by a chance of one in a thousand. */
const CLOSING_FALL = Math.log(1_000);

/** With a share of 0, one bad probe is an outage. */
const CERTAIN = 1_000;

/**
 * Finds the outages of one endpoint in its probes, one after the other.
 *
 * Each bad probe adds to a score, and each good one takes from it, by the logarithm of how much likelier the probe is in
 * an outage than by chance; the score begins again at 0 (Page, "Continuous Inspection Schemes", 1954). That it grows by
 * `s` from a given probe on has by chance at most the probability `exp(-s)` (Ville's inequality), and the threshold of
 * the i-th probe takes `1 / (i * (i + 1))` of the permitted error, which sums up to all of it.
 *
 *           score over the threshold           stableProbes good ones
 * steady ────────────────────────────▶ outage ────────────────────────▶ steady
 */
export class OutageDetector {
  readonly outages: Outage[] = [];
  readonly #rise: number;
  readonly #fall: number;
  readonly #errorProbability: number;
  readonly #closingFall: number;
  readonly #neverBad: boolean;
  #probes = 0;
  #score = 0;
  /** The highest score since the score began at 0. */
  #peak = 0;
  #threshold = 0;
  #firstBad: Sample | undefined;
  #current: Outage | undefined;
  #lastIsGood = true;

  constructor({ badShare, errorProbability, stableProbes }: OutageDetectorOptions) {
    const inOutage = (1 + badShare) / 2;
    this.#neverBad = badShare >= 1;
    this.#rise = badShare === 0 ? CERTAIN : Math.log(inOutage / badShare);
    // Equals -log((1 - inOutage) / (1 - badShare)) for every share.
    this.#fall = Math.LN2;
    this.#closingFall = Math.max(stableProbes * this.#fall, badShare === 0 ? 0 : CLOSING_FALL);
    this.#errorProbability = errorProbability;
  }

  /** Whether an outage is not over yet. */
  get isOut(): boolean {
    return this.#current !== undefined;
  }

  /** Whether its latest outage is over, and its latest probe was good. */
  get isSteady(): boolean {
    return this.#current === undefined && this.#lastIsGood;
  }

  /** @param sample in order of the starts. */
  add(sample: Sample): void {
    if (this.#neverBad) return;
    this.#probes += 1;
    this.#lastIsGood = sample.isGood;
    if (sample.isGood) this.#addGood();
    else this.#addBad(sample);
  }

  #addGood(): void {
    this.#score -= this.#fall;
    const isOver = this.#current !== undefined && this.#peak - this.#score >= this.#closingFall;
    if (isOver || (this.#current === undefined && this.#score <= 0)) this.#begin();
  }

  #addBad(sample: Sample): void {
    if (this.#firstBad === undefined) {
      this.#firstBad = sample;
      this.#threshold = Math.log((this.#probes * (this.#probes + 1)) / this.#errorProbability);
    }
    this.#score += this.#rise;
    if (this.#score < this.#peak) return;
    this.#peak = this.#score;
    if (this.#current !== undefined) {
      this.#current.lastBad = sample;
    } else if (this.#peak >= this.#threshold) {
      this.#current = { firstBad: this.#firstBad, lastBad: sample };
      this.outages.push(this.#current);
    }
  }

  #begin(): void {
    this.#score = 0;
    this.#peak = 0;
    this.#firstBad = undefined;
    this.#current = undefined;
  }
}

/** The edges are at their place when they no longer move, which takes a few rounds. */
const MAX_ROUNDS = 10;

/**
 * Moves the edges of an outage to where they are likeliest. A detected outage in which only a share of the probes is bad
 * covers its densest part; with the share that it has there, the time around it is looked at again: the part with the
 * highest score is the likeliest one (Kadane's algorithm).
 */
export function widened(outage: Outage, samples: readonly Sample[], badShare: number): Outage {
  if (badShare === 0 || badShare >= 1) return outage;
  let { firstBad, lastBad } = outage;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const within = samples.filter(({ index }) => index >= firstBad.index && index <= lastBad.index);
    const bad = within.filter(({ isGood }) => !isGood).length;
    const share = Math.min(bad / within.length, (1 + badShare) / 2);
    if (share <= badShare) break;
    const likeliest = likeliestPart(samples, {
      rise: Math.log(share / badShare),
      fall: Math.log((1 - badShare) / (1 - share)),
    });
    if (likeliest === undefined) break;
    const isWider =
      likeliest.firstBad.index < firstBad.index || likeliest.lastBad.index > lastBad.index;
    if (!isWider) break;
    if (likeliest.firstBad.index < firstBad.index) firstBad = likeliest.firstBad;
    if (likeliest.lastBad.index > lastBad.index) lastBad = likeliest.lastBad;
  }
  return { firstBad, lastBad };
}

function likeliestPart(
  samples: readonly Sample[],
  { rise, fall }: { rise: number; fall: number },
): Outage | undefined {
  let score = 0;
  let best = 0;
  let firstBad: Sample | undefined;
  let part: Outage | undefined;
  for (const sample of samples) {
    score += sample.isGood ? -fall : rise;
    if (score <= 0) {
      score = 0;
      firstBad = undefined;
      continue;
    }
    firstBad ??= sample;
    if (score <= best || sample.isGood) continue;
    best = score;
    part = { firstBad, lastBad: sample };
  }
  return part;
}
