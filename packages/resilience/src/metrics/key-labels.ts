import type { Labels } from '@holdfast/foundation/metrics';

/** A longer key is published without a label of its own. */
const MAX_KEY_LENGTH = 200;

/**
 * Which keys of a set have a label of their own: at most `maxKeyLabels` at a time, and the same ones from
 * reading to reading, because every label that was ever published is a series that has to be stored. A
 * label stays with its key, also when the circuit is no longer kept, until a circuit that is not closed
 * needs it.
 */
export class KeyLabels {
  readonly #name: string;
  readonly #maxKeyLabels: number;
  /** In the order in which the labels were given. */
  readonly #labels = new Map<string, Labels>();
  /** Whose label can be taken: the last that was told of them is that they are closed, and remains so. */
  #readAsClosed: string[] = [];

  constructor(name: string, maxKeyLabels: number) {
    this.#name = name;
    this.#maxKeyLabels = maxKeyLabels;
  }

  /**
   * The labels of this reading by key.
   * @param notClosed the keys of the circuits that are not closed: these come first
   * @param closed those of the circuits that are: these take only labels that nobody has had
   */
  assign(notClosed: ReadonlySet<string>, closed: Iterable<string>): ReadonlyMap<string, Labels> {
    const free = this.#readAsClosed.filter((key) => !notClosed.has(key)).values();
    for (const key of notClosed) {
      if (!this.#lacks(key)) continue;
      if (this.#isFull()) {
        const former = free.next().value;
        if (former === undefined) break;
        this.#labels.delete(former);
      }
      this.#assignLabel(key);
    }
    for (const key of closed) {
      if (this.#isFull()) break;
      if (this.#lacks(key)) this.#assignLabel(key);
    }
    this.#readAsClosed = [...this.#labels.keys()].filter((key) => !notClosed.has(key));
    return this.#labels;
  }

  #isFull(): boolean {
    return this.#labels.size >= this.#maxKeyLabels;
  }

  #lacks(key: string): boolean {
    return !this.#labels.has(key) && key.length <= MAX_KEY_LENGTH;
  }

  #assignLabel(key: string): void {
    this.#labels.set(key, { name: this.#name, key });
  }
}
