/** The ids it was given last, up to a bound; a new one takes the place of the oldest. */
export class RecentIds {
  readonly #maxIds: number;
  readonly #known = new Set<string>();
  /** The same ids in a ring. A Set finds its oldest only by way of the gaps that deleted ones have left. */
  readonly #ring: string[] = [];
  #oldest = 0;

  constructor(maxIds: number) {
    this.#maxIds = maxIds;
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
    const forgotten = this.#ring[this.#oldest];
    if (forgotten !== undefined) this.#known.delete(forgotten);
    this.#ring[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % this.#maxIds;
  }
}
