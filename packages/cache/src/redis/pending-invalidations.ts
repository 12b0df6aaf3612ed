/** What is no longer true in Redis, and of which Redis does not know yet. */
export type Invalidation =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'all' };

/** Invalidations that wait for Redis, each once. Of more than the bound only this is kept: everything is invalid. */
export class PendingInvalidations {
  readonly #maxPending: number;
  readonly #keys = new Set<string>();
  readonly #tags = new Set<string>();
  #isAll = false;

  constructor(maxPending: number) {
    this.#maxPending = maxPending;
  }

  get size(): number {
    return this.#keys.size + this.#tags.size + (this.#isAll ? 1 : 0);
  }

  add(invalidation: Invalidation): void {
    if (invalidation.kind === 'all') {
      this.#isAll = true;
      this.#keys.clear();
      this.#tags.clear();
    } else if (invalidation.kind === 'key') {
      this.#keys.add(invalidation.key);
    } else {
      this.#tags.add(invalidation.tag);
    }
    if (this.#keys.size + this.#tags.size > this.#maxPending) this.add({ kind: 'all' });
  }

  delete(invalidation: Invalidation): void {
    if (invalidation.kind === 'all') this.#isAll = false;
    else if (invalidation.kind === 'key') this.#keys.delete(invalidation.key);
    else this.#tags.delete(invalidation.tag);
  }

  /** Whether what Redis has under the key is known to be invalid. */
  hasKey(key: string): boolean {
    return this.#isAll || this.#keys.has(key);
  }

  hasTag(tags: readonly string[]): boolean {
    return tags.some((tag) => this.#tags.has(tag));
  }

  /** The first of them, at most `count`. */
  next(count: number): Invalidation[] {
    const next: Invalidation[] = this.#isAll ? [{ kind: 'all' }] : [];
    for (const key of this.#keys) {
      if (next.length >= count) return next;
      next.push({ kind: 'key', key });
    }
    for (const tag of this.#tags) {
      if (next.length >= count) return next;
      next.push({ kind: 'tag', tag });
    }
    return next;
  }
}
