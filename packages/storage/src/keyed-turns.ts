import { Table } from './table.ts';

/** One at a time for each key, in the order of asking; keys do not wait for each other. */
export class KeyedTurns {
  readonly #last = new Table<Promise<unknown>>();

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = before === undefined ? work() : before.then(work, work);
    this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}
