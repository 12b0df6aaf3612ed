/** One write as its caller knows it: the content that the key has after it, or one of several. */
interface Issued {
  /** `undefined`: the key is removed. */
  readonly texts: () => readonly (string | undefined)[];
  acknowledged: boolean;
  /** The number of writes issued before it, of any key. */
  readonly begunAt: number;
  /** The number of writes issued before the end of its call. */
  endedAt: number;
  /** It is accepted only after its source was read: writes issued meanwhile may come before it. */
  readonly isCopy: boolean;
}

export interface Write {
  acknowledge(): void;
}

/** The writes of one process and its successors, by key. */
export class History {
  /** Counts what may change the contents that a write of any history stands for. */
  static #changes = 0;
  readonly #byKey: ReadonlyMap<string, Issued[]>;
  /** The contents of all uploads. */
  readonly #written: string[] = [];
  #issued = 0;

  constructor(keys: readonly string[]) {
    this.#byKey = new Map(keys.map((key) => [key, []]));
  }

  get acknowledged(): number {
    return [...this.#byKey.values()].flat().filter((one) => one.acknowledged).length;
  }

  write(key: string, text: string | undefined): Write {
    if (text !== undefined) {
      this.#written.push(text);
      History.#changes += 1;
    }
    return this.#issue(key, () => [text]);
  }

  /**
   * The object of one key also under another, and the removal of the first.
   * @param mayBeBehind whether the source may be read from a journal that lacks the latest writes.
   * @param others of processes that write the same keys: what is read may be moved by them, from any key.
   */
  move(from: string, to: string, others: readonly History[], mayBeBehind: boolean): Write {
    const source = this.#of(from);
    const begun = source.length;
    // A write that is accepted while the key is moved stays.
    const isAlone = source.every(({ acknowledged }) => acknowledged);
    let end: number | undefined;
    const candidates = this.#readable(from, others, mayBeBehind, () =>
      // The removal itself is the first since.
      source.slice(begun + 1, end),
    );
    const texts = () => candidates().filter((text) => text !== undefined);
    const copy = this.#issue(to, texts, true);
    const removal = this.#issue(from, () => (isAlone ? [undefined] : [undefined, ...candidates()]));
    return {
      acknowledge: () => {
        end = source.length;
        copy.acknowledge();
        removal.acknowledge();
      },
    };
  }

  /** The object of one key also under another; otherwise as {@link move}. */
  copy(from: string, to: string, others: readonly History[], mayBeBehind: boolean): Write {
    const source = this.#of(from);
    const begun = source.length;
    let end: number | undefined;
    // Onto itself, it is itself the first since.
    const first = from === to ? begun + 1 : begun;
    const candidates = this.#readable(from, others, mayBeBehind, () => source.slice(first, end));
    const copy = this.#issue(to, () => candidates().filter((text) => text !== undefined), true);
    return {
      acknowledge: () => {
        end = source.length;
        copy.acknowledge();
      },
    };
  }

  /** The contents that a read of the key may have found, which was accepted now and ended after the writes `since`. */
  #readable(
    from: string,
    others: readonly History[],
    mayBeBehind: boolean,
    since: () => readonly Issued[],
  ): () => readonly (string | undefined)[] {
    const before = mayBeBehind ? this.since(from, 0) : this.allowed(from);
    return () => [
      ...before,
      ...this.#texts(since()),
      ...(others.length > 0 ? [this, ...others].flatMap((one) => one.#written) : []),
    ];
  }

  /** The permitted contents: the last acknowledged write, or any write that may have been accepted after it. */
  allowed(key: string): (string | undefined)[] {
    const writes = this.#of(key);
    const last = writes.findLastIndex(({ acknowledged }) => acknowledged);
    const texts = this.#texts(writes.slice(Math.max(0, last)));
    if (last === -1) return [undefined, ...texts];
    const begunAt = writes[last]?.begunAt ?? 0;
    const late = writes.slice(0, last).filter((one) => one.isCopy && one.endedAt > begunAt);
    return [...this.#texts(late), ...texts];
  }

  /** It was told that this content, of another writer, stays in the place of a write. */
  lose(key: string, theirs: string | undefined): void {
    this.#issue(key, () => [theirs]);
  }

  /** The process has died: none of its calls goes on. */
  end(): void {
    History.#changes += 1;
    for (const write of [...this.#byKey.values()].flat()) {
      write.endedAt = Math.min(write.endedAt, this.#issued);
    }
  }

  /** The contents that the key may have had since `from` writes of it were issued. */
  since(key: string, from: number): (string | undefined)[] {
    return this.#texts(this.#of(key).slice(from));
  }

  count(key: string): number {
    return this.#of(key).length;
  }

  /** The journal that knew the writes of the key is gone: any of them may be the last. */
  forget(key: string): void {
    History.#changes += 1;
    for (const write of this.#of(key)) write.acknowledged = false;
  }

  #of(key: string): Issued[] {
    return this.#byKey.get(key) ?? [];
  }

  #issue(key: string, texts: Issued['texts'], isCopy = false): Write {
    const begunAt = this.#issued;
    this.#issued += 1;
    History.#changes += 1;
    const issued: Issued = {
      texts: onceAChange(texts, () => History.#changes),
      isCopy,
      begunAt,
      endedAt: Infinity,
      acknowledged: false,
    };
    this.#of(key).push(issued);
    return {
      acknowledge: () => {
        History.#changes += 1;
        issued.acknowledged = true;
        issued.endedAt = this.#issued;
      },
    };
  }

  #texts(writes: readonly Issued[]): (string | undefined)[] {
    return [...new Set(writes.flatMap(({ texts }) => texts()))];
  }
}

/** Copies of copies stand for many contents: each is found once, not once for each way to it. */
function onceAChange(texts: Issued['texts'], changes: () => number): Issued['texts'] {
  let [found, at]: [ReturnType<Issued['texts']>, number] = [[], -1];
  return () => {
    if (at !== changes()) [found, at] = [[...new Set(texts())], changes()];
    return found;
  };
}
