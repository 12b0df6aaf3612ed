/** A set of the most recently added ids, with a bound: a new id replaces the oldest. */
export class RecentIds {
  #maxIds: number;
  readonly #known = new Set<string>();
  /** The same ids in a ring. A Set finds its oldest entry only by skipping the gaps that deleted entries leave. */
  #ring: string[] = [];
  #oldest = 0;

  constructor(maxIds: number) {
    this.#maxIds = maxIds;
  }

  /** Raises the bound; a lower one has no effect. */
  grow(maxIds: number): void {
    if (maxIds <= this.#maxIds) return;
    this.#maxIds = maxIds;
    this.#ring = [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)];
    this.#oldest = 0;
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  add(id: string): void {
    if (this.#maxIds === 0 || this.#known.has(id)) return;
    this.#known.add(id);
    if (this.#ring.length < this.#maxIds) {
      this.#ring.push(id);
      return;
    }
    const replaced = this.#ring[this.#oldest];
    if (replaced !== undefined) this.#known.delete(replaced);
    this.#ring[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % this.#maxIds;
  }
}
