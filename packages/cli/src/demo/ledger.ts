/** What became of everything that was handed over, after it was looked for where it has to be. */
export interface LedgerVerdict {
  /** What its owner was promised: jobs, rows or objects whose call resolved. */
  readonly accepted: number;
  /** Of these, accepted while the server itself could not take them. */
  readonly deferred: number;
  /** Accepted, and not found. */
  readonly lost: readonly number[];
  /** Found more than once. */
  readonly doubled: readonly number[];
  /** Refused as not applied, and found all the same. */
  readonly contradicted: readonly number[];
  /** The call rejected, with the promise that nothing was applied. */
  readonly refused: number;
  /** The call rejected without such a promise. */
  readonly unknown: number;
}

/** Counts what one load hands over. Everything has a number, under which it is looked for at the end. */
export class DemoLedger {
  readonly #accepted = new Set<number>();
  readonly #refused = new Set<number>();
  readonly #reasons = new Map<string, number>();
  #deferred = 0;
  #unknown = 0;
  #last = 0;
  #onDirect: (() => void) | undefined;

  /** The number of what is handed over next. */
  next(): number {
    return (this.#last += 1);
  }

  get accepted(): number {
    return this.#accepted.size;
  }

  get rejected(): number {
    return this.#refused.size + this.#unknown;
  }

  /** Handed over, and not answered yet. */
  get waiting(): number {
    return this.#last - this.accepted - this.rejected;
  }

  /** The numbers of all that was accepted. */
  acceptedNumbers(): number[] {
    return [...this.#accepted];
  }

  /** Why calls were rejected, and how often. */
  reasons(): [reason: string, count: number][] {
    return [...this.#reasons];
  }

  /** @param isDirect whether the server itself has it. */
  accept(number: number, isDirect: boolean): void {
    this.#accepted.add(number);
    if (isDirect) this.#onDirect?.();
    else this.#deferred += 1;
  }

  /** @param isNotApplied whether the rejection promises that nothing was applied. */
  reject(number: number, isNotApplied: boolean, reason: string): void {
    if (isNotApplied) this.#refused.add(number);
    else this.#unknown += 1;
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
  }

  /** Calls back once, when the server itself has taken the next one; the returned function prevents it. */
  onNextDirect(callback: () => void): () => void {
    const listener = (): void => {
      this.#onDirect = undefined;
      callback();
    };
    this.#onDirect = listener;
    return () => {
      if (this.#onDirect === listener) this.#onDirect = undefined;
    };
  }

  /** @param found how often each number was found. */
  judge(found: ReadonlyMap<number, number>): LedgerVerdict {
    const doubled = [...found].filter(([, times]) => times > 1).map(([number]) => number);
    return {
      accepted: this.#accepted.size,
      deferred: this.#deferred,
      lost: [...this.#accepted].filter((number) => !found.has(number)),
      doubled,
      contradicted: [...this.#refused].filter((number) => found.has(number)),
      refused: this.#refused.size,
      unknown: this.#unknown,
    };
  }
}
