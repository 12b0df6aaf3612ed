/** A member of one {@link LinkedList} at a time, which owns these fields. */
export abstract class ListNode {
  list: object | undefined = undefined;
  previous: this | undefined = undefined;
  next: this | undefined = undefined;
}

/**
 * An intrusive doubly linked list in the order of insertion: each member is its own node, so that appending
 * and removing allocate nothing and cost the same for ten members as for fifty thousand. An array's `shift` does not
 * guarantee that. A Set with many insertions and removals is often copied to a new table, and an old table keeps
 * its successors alive through every minor collection.
 */
export class LinkedList<Node extends ListNode> {
  #first: Node | undefined;
  #last: Node | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Node | undefined {
    return this.#first;
  }

  /** Adds at the end; a member of this list keeps its position. */
  append(node: Node): void {
    if (node.list === this) return;
    node.list = this;
    node.previous = this.#last;
    node.next = undefined;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size += 1;
  }

  /** Removes from any position; false for a node that is not in this list. */
  remove(node: Node): boolean {
    if (node.list !== this) return false;
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.list = undefined;
    node.previous = undefined;
    node.next = undefined;
    this.#size -= 1;
    return true;
  }

  has(node: Node): boolean {
    return node.list === this;
  }

  /** Removes and returns the first member. */
  shift(): Node | undefined {
    const node = this.#first;
    if (node !== undefined) this.remove(node);
    return node;
  }

  /** Removes and returns the last member. */
  pop(): Node | undefined {
    const node = this.#last;
    if (node !== undefined) this.remove(node);
    return node;
  }

  /** The member that was just yielded may be removed during the iteration. */
  *[Symbol.iterator](): Generator<Node> {
    let node = this.#first;
    while (node !== undefined) {
      const { next } = node;
      yield node;
      node = next;
    }
  }
}
