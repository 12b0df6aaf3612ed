import { OrderedMap } from './ordered-map.ts';

/** Runs one function at a time for each key, in the order of the calls; keys do not wait for each other. */
export class KeyedMutex {
  readonly #last = new OrderedMap<Promise<unknown>>();

  /** Whether work with this key has not settled yet. */
  has(key: string): boolean {
    return this.#last.get(key) !== undefined;
  }

  /** Settles like `work`, which starts when all earlier work with its key has settled. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const previous = this.#last.get(key);
    const current = previous === undefined ? work() : previous.then(work, work);
    this.#last.set(key, current);
    try {
      return await current;
    } finally {
      if (this.#last.get(key) === current) this.#last.delete(key);
    }
  }
}
