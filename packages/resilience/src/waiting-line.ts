/** A place in a {@link WaitingLine}. Those who stand in it are places themselves: each is one object. */
export abstract class Place {
  line: object | undefined = undefined;
  ahead: this | undefined = undefined;
  behind: this | undefined = undefined;
}

/**
 * First come, first served, and anybody may leave at any time. Joining, leaving and being called cost
 * the same whether ten wait or fifty thousand, which neither an array's `shift` nor marking places as
 * abandoned can promise.
 */
export class WaitingLine<T extends Place> {
  #first: T | undefined;
  #last: T | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#first;
  }

  join(newcomer: T): void {
    newcomer.line = this;
    newcomer.ahead = this.#last;
    if (this.#last === undefined) this.#first = newcomer;
    else this.#last.behind = newcomer;
    this.#last = newcomer;
    this.#length += 1;
  }

  /** Leaves from anywhere in the line; false for one who does not stand in it. */
  leave(leaving: T): boolean {
    if (leaving.line !== this) return false;
    if (leaving.ahead === undefined) this.#first = leaving.behind;
    else leaving.ahead.behind = leaving.behind;
    if (leaving.behind === undefined) this.#last = leaving.ahead;
    else leaving.behind.ahead = leaving.ahead;
    leaving.line = undefined;
    leaving.ahead = undefined;
    leaving.behind = undefined;
    this.#length -= 1;
    return true;
  }

  takeFirst(): T | undefined {
    const taken = this.#first;
    if (taken !== undefined) this.leave(taken);
    return taken;
  }

  takeLast(): T | undefined {
    const taken = this.#last;
    if (taken !== undefined) this.leave(taken);
    return taken;
  }
}
