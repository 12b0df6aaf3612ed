import { LinkedList, type ListNode } from './linked-list.ts';

interface Entry<Value> extends ListNode {
  value: Value;
}

/**
 * A Map of strings in the order of the first `set` of each key, without the growing tables of a Map; see
 * {@link LinkedList} for the reason.
 */
export class OrderedMap<Value> {
  readonly #entries: Record<string, Entry<Value>> = Object.create(null);
  readonly #order = new LinkedList<Entry<Value>>();

  get size(): number {
    return this.#order.size;
  }

  get first(): Value | undefined {
    return this.#order.first?.value;
  }

  get(key: string): Value | undefined {
    return this.#entries[key]?.value;
  }

  set(key: string, value: Value): void {
    const found = this.#entries[key];
    if (found !== undefined) {
      found.value = value;
      return;
    }
    const entry: Entry<Value> = { value, list: undefined, previous: undefined, next: undefined };
    this.#entries[key] = entry;
    this.#order.append(entry);
  }

  delete(key: string): void {
    const entry = this.#entries[key];
    if (entry === undefined) return;
    this.#order.remove(entry);
    delete this.#entries[key];
  }

  /** A snapshot of the values. */
  values(): Value[] {
    return Array.from(this.#order, ({ value }) => value);
  }
}
