import { LinkedList } from '@holdfast/foundation';
import type { NameEntry } from './name-entry.ts';

/** New names may take this share of the bound, so that a flood of them does not drive out those in use. */
const SMALL_SHARE = 0.1;

/** The names kept, at most `maxNames`: S3-FIFO without a ghost queue. Watched names stay. */
export class NameCache {
  readonly #entries = new Map<string, NameEntry>();
  readonly #small = new LinkedList<NameEntry>();
  readonly #main = new LinkedList<NameEntry>();
  readonly #maxNames: number;
  #evictions = 0;

  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  get size(): number {
    return this.#entries.size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  get(key: string): NameEntry | undefined {
    return this.#entries.get(key);
  }

  has(entry: NameEntry): boolean {
    return this.#entries.get(entry.key) === entry;
  }

  add(entry: NameEntry): void {
    while (this.#entries.size >= this.#maxNames) this.#examineOldest();
    this.#entries.set(entry.key, entry);
    this.#small.append(entry);
  }

  values(): Iterable<NameEntry> {
    return this.#entries.values();
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Drops the oldest name, or keeps it for one more round because it was used. */
  #examineOldest(): void {
    const isFromSmall = this.#main.size === 0 || this.#small.size > SMALL_SHARE * this.#maxNames;
    const entry = (isFromSmall ? this.#small : this.#main).shift();
    if (entry === undefined) return;
    if (entry.watchers > 0 || entry.uses > 0) {
      entry.uses = isFromSmall ? 0 : Math.max(0, entry.uses - 1);
      this.#main.append(entry);
      return;
    }
    this.#entries.delete(entry.key);
    this.#evictions += 1;
  }
}
