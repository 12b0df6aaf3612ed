/** Counts the calls of each key, of the latest keys only, so that its memory is bounded. */
export class KeyedCallCounter {
  readonly #maxKeys: number;
  readonly #counts = new Map<string, number>();

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /** Returns the number of this call of the key, from 1. */
  next(key: string): number {
    const count = (this.#counts.get(key) ?? 0) + 1;
    // The end of the map is for the latest.
    this.#counts.delete(key);
    this.#counts.set(key, count);
    const [oldest] = this.#counts.size > this.#maxKeys ? this.#counts.keys() : [];
    if (oldest !== undefined) this.#counts.delete(oldest);
    return count;
  }
}
