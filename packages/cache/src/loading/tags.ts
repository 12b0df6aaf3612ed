/** When a record was made, in the order of invalidations, and what it is named by. */
export interface Tagged {
  readonly tags: readonly string[];
  readonly madeAt: number;
}

/**
 * Invalidations by tag, as numbers: a record is valid while none of its tags was invalidated after it was made. Keeps
 * the last `maxTags` invalidations; those before count for every tag that is not kept, so that none is forgotten.
 */
export class Tags {
  readonly #maxTags: number;
  readonly #invalidatedAt = new Map<string, number>();
  #now = 0;
  /** The last invalidation that is no longer kept. */
  #forgottenAt = 0;

  constructor(maxTags: number) {
    this.#maxTags = maxTags;
  }

  /** The number of invalidations: what a record made now is valid from. */
  get now(): number {
    return this.#now;
  }

  invalidate(tag: string): void {
    this.#now += 1;
    this.#invalidatedAt.delete(tag);
    this.#invalidatedAt.set(tag, this.#now);
    if (this.#invalidatedAt.size <= this.#maxTags) return;
    for (const [oldest, at] of this.#invalidatedAt) {
      this.#forgottenAt = at;
      this.#invalidatedAt.delete(oldest);
      return;
    }
  }

  isValid({ tags, madeAt }: Tagged): boolean {
    return tags.every((tag) => (this.#invalidatedAt.get(tag) ?? this.#forgottenAt) <= madeAt);
  }
}
