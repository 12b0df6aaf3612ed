/** A place in a {@link WaitingLine}: what its owner keeps in order to leave from the middle. */
export interface Place<T> {
  readonly who: T;
  line: WaitingLine<T> | undefined;
  ahead: Place<T> | undefined;
  behind: Place<T> | undefined;
}

/**
 * First come, first served, and anybody may leave at any time. Joining, leaving and being called cost
 * the same whether ten wait or fifty thousand, which neither an array's `shift` nor marking places as
 * abandoned can promise.
 */
export class WaitingLine<T> {
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#first?.who;
  }

  join(who: T): Place<T> {
    const place: Place<T> = { who, line: this, ahead: this.#last, behind: undefined };
    if (this.#last === undefined) this.#first = place;
    else this.#last.behind = place;
    this.#last = place;
    this.#length += 1;
    return place;
  }

  /** Leaves from anywhere in the line; false when the place was given up before. */
  leave(place: Place<T>): boolean {
    if (place.line !== this) return false;
    if (place.ahead === undefined) this.#first = place.behind;
    else place.ahead.behind = place.behind;
    if (place.behind === undefined) this.#last = place.ahead;
    else place.behind.ahead = place.ahead;
    place.line = undefined;
    place.ahead = undefined;
    place.behind = undefined;
    this.#length -= 1;
    return true;
  }

  takeFirst(): T | undefined {
    return this.#take(this.#first);
  }

  takeLast(): T | undefined {
    return this.#take(this.#last);
  }

  #take(place: Place<T> | undefined): T | undefined {
    if (place === undefined) return undefined;
    this.leave(place);
    return place.who;
  }
}
