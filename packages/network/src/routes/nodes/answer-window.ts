/** Eight buckets for each doubling: a median is off by 6 % at most. In sixteenths of a millisecond. */
const UNITS_PER_MS = 16;
const MAX_UNITS = 0x7f_ff_ff;
const BUCKETS = 176;

/**
 * The answers of one node in the current period and the one before it: how many, how many of them failed, and the
 * median of the latencies. Memory does not grow with the traffic.
 */
export class AnswerWindow {
  readonly #periodMs: number;
  #period = 0;
  #answers = 0;
  #failures = 0;
  #answersBefore = 0;
  #failuresBefore = 0;
  #latencies = new Uint16Array(BUCKETS);
  #latenciesBefore = new Uint16Array(BUCKETS);
  #samples = 0;
  #samplesBefore = 0;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  record(nowMs: number, failed: boolean): void {
    this.#rotate(nowMs);
    this.#answers += 1;
    if (failed) this.#failures += 1;
  }

  /** Also a lower bound: how long was waited for a node whose answer was given up. */
  recordLatency(nowMs: number, latencyMs: number): void {
    this.#rotate(nowMs);
    const bucket = bucketOf(latencyMs);
    const count = this.#latencies[bucket] ?? 0;
    // At the bound the median has long been settled.
    if (count === 0xff_ff) return;
    this.#latencies[bucket] = count + 1;
    this.#samples += 1;
  }

  answers(nowMs: number): number {
    this.#rotate(nowMs);
    return this.#answers + this.#answersBefore;
  }

  failures(nowMs: number): number {
    this.#rotate(nowMs);
    return this.#failures + this.#failuresBefore;
  }

  /** `undefined` with fewer than `minSamples`. */
  medianMs(nowMs: number, minSamples: number): number | undefined {
    this.#rotate(nowMs);
    const samples = this.#samples + this.#samplesBefore;
    if (samples < minSamples || samples === 0) return undefined;
    let remaining = samples / 2;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      remaining -= (this.#latencies[bucket] ?? 0) + (this.#latenciesBefore[bucket] ?? 0);
      if (remaining <= 0) return middleMs(bucket);
    }
    return undefined;
  }

  /** What was before says nothing about the node that comes back. */
  clear(): void {
    this.#forget();
    this.#forget();
  }

  #rotate(nowMs: number): void {
    const period = Math.floor(nowMs / this.#periodMs);
    if (period === this.#period) return;
    this.#forget();
    if (period > this.#period + 1) this.#forget();
    this.#period = period;
  }

  #forget(): void {
    const recycled =
      this.#samplesBefore === 0 ? this.#latenciesBefore : this.#latenciesBefore.fill(0);
    this.#latenciesBefore = this.#latencies;
    this.#latencies = recycled;
    this.#samplesBefore = this.#samples;
    this.#answersBefore = this.#answers;
    this.#failuresBefore = this.#failures;
    this.#samples = 0;
    this.#answers = 0;
    this.#failures = 0;
  }
}

function bucketOf(latencyMs: number): number {
  const units = Math.min(MAX_UNITS, Math.max(0, Math.round(latencyMs * UNITS_PER_MS)));
  if (units < 8) return units;
  const exponent = 31 - Math.clz32(units);
  return (exponent - 2) * 8 + ((units >> (exponent - 3)) & 7);
}

function middleMs(bucket: number): number {
  if (bucket < 8) return bucket / UNITS_PER_MS;
  const exponent = Math.floor(bucket / 8) + 2;
  const width = 2 ** (exponent - 3);
  return (2 ** exponent + (bucket % 8) * width + width / 2) / UNITS_PER_MS;
}
