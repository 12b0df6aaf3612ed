const WAYS = 4;
const LEAST_SLOTS = 256;
const LAST_STAMP = 0xffff_ffff;

/**
 * Remembers which keys were evicted lately, by fingerprint and time of eviction, without the keys. The time is the
 * count of evictions. A table of buckets of four: when one is full, its oldest fingerprint is forgotten.
 */
export class Ghost {
  #fingerprints = new Uint32Array(LEAST_SLOTS);
  /** 0: free. */
  #stamps = new Uint32Array(LEAST_SLOTS);
  #evictions = 0;

  /** @param window how many evictions are remembered */
  add(fingerprint: number, window: number): void {
    if (window > this.#stamps.length) this.#grow(window);
    if (this.#evictions === LAST_STAMP) {
      this.#stamps.fill(0);
      this.#evictions = 0;
    }
    this.#evictions += 1;
    this.#put(fingerprint, this.#evictions);
  }

  /** Forgets the fingerprint; whether it was among the last `window` evictions. */
  take(fingerprint: number, window: number): boolean {
    const start = this.#bucketOf(fingerprint);
    for (let at = start; at < start + WAYS; at += 1) {
      const stamp = this.#stamps[at] ?? 0;
      if (stamp === 0 || this.#fingerprints[at] !== fingerprint) continue;
      this.#stamps[at] = 0;
      return this.#evictions - stamp < window;
    }
    return false;
  }

  clear(): void {
    this.#fingerprints = new Uint32Array(LEAST_SLOTS);
    this.#stamps = new Uint32Array(LEAST_SLOTS);
    this.#evictions = 0;
  }

  #put(fingerprint: number, stamp: number): void {
    const start = this.#bucketOf(fingerprint);
    let oldest = start;
    for (let at = start; at < start + WAYS; at += 1) {
      const held = this.#stamps[at] ?? 0;
      if (held < (this.#stamps[oldest] ?? 0)) oldest = at;
      if (held === 0 || this.#fingerprints[at] !== fingerprint) continue;
      oldest = at;
      break;
    }
    this.#fingerprints[oldest] = fingerprint;
    this.#stamps[oldest] = stamp;
  }

  #bucketOf(fingerprint: number): number {
    return (fingerprint & (this.#stamps.length / WAYS - 1)) * WAYS;
  }

  #grow(window: number): void {
    const fingerprints = this.#fingerprints;
    const stamps = this.#stamps;
    const slots = 2 ** Math.ceil(Math.log2(window));
    this.#fingerprints = new Uint32Array(slots);
    this.#stamps = new Uint32Array(slots);
    for (const [at, stamp] of stamps.entries()) {
      if (stamp > 0) this.#put(fingerprints[at] ?? 0, stamp);
    }
  }
}
