import type { Labels } from './metric.ts';

/** A longer key is published without a label of its own. */
const MAX_KEY_LENGTH = 200;

/**
 * Which keys of a set have a label of their own: at most `maxKeyLabels` at a time, and the same ones from
 * reading to reading, because every label that was ever published is a series that has to be stored.
 * A circuit that is not closed takes the label of one that is; a closed circuit takes only a free one.
 */
export class KeyLabels {
  readonly #name: string;
  readonly #maxKeyLabels: number;
  /** In the order in which the labels were given. */
  readonly #labels = new Map<string, Labels>();

  constructor(name: string, maxKeyLabels: number) {
    this.#name = name;
    this.#maxKeyLabels = maxKeyLabels;
  }

  /**
   * The labels of this reading by key.
   * @param notClosed the keys of the circuits that are not closed
   * @param closed those of the circuits that are
   */
  assign(notClosed: ReadonlySet<string>, closed: ReadonlySet<string>): ReadonlyMap<string, Labels> {
    for (const key of this.#labels.keys()) {
      if (!notClosed.has(key) && !closed.has(key)) this.#labels.delete(key);
    }
    const giveBack = this.#heldBy(closed).values();
    for (const key of notClosed) {
      if (this.#labels.has(key) || !this.#takes(key)) continue;
      if (this.#labels.size >= this.#maxKeyLabels) {
        const given = giveBack.next().value;
        if (given === undefined) break;
        this.#labels.delete(given);
      }
      this.#give(key);
    }
    for (const key of closed) {
      if (this.#labels.size >= this.#maxKeyLabels) break;
      if (!this.#labels.has(key) && this.#takes(key)) this.#give(key);
    }
    return this.#labels;
  }

  #takes(key: string): boolean {
    return key.length <= MAX_KEY_LENGTH;
  }

  #give(key: string): void {
    this.#labels.set(key, { name: this.#name, key });
  }

  #heldBy(keys: ReadonlySet<string>): string[] {
    return [...this.#labels.keys()].filter((key) => keys.has(key));
  }
}
