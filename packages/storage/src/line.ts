/** A place in one {@link Line}; its neighbours are the line's to change. */
export interface Placed<Member> {
  before: Member | undefined;
  behind: Member | undefined;
}

/**
 * Members in the order they came, each in one line at most. Not a Set, because what comes and goes all the
 * time makes a Set leave its table for a new one again and again: a table that was left, and has grown old,
 * keeps its successors and everything in them through every minor collection.
 */
export class Line<Member extends Placed<Member>> {
  #first: Member | undefined;
  #last: Member | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Who came before all others. */
  get first(): Member | undefined {
    return this.#first;
  }

  /** At the end. One that has a place keeps it. */
  add(member: Member): void {
    if (this.has(member)) return;
    member.before = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.behind = member;
    this.#last = member;
    this.#size += 1;
  }

  /** Gives false for one that has no place. */
  delete(member: Member): boolean {
    if (!this.has(member)) return false;
    const { before, behind } = member;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    member.before = undefined;
    member.behind = undefined;
    this.#size -= 1;
    return true;
  }

  /** Whether it has a place here, for a member that has none elsewhere. */
  has(member: Member): boolean {
    return member.before !== undefined || this.#first === member;
  }

  *[Symbol.iterator](): Generator<Member> {
    for (let member = this.#first; member !== undefined;) {
      const { behind } = member;
      yield member;
      member = behind;
    }
  }
}
