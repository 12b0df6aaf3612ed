import { Line, type Placed } from './line.ts';

interface Entry<Value> extends Placed<Entry<Value>> {
  value: Value;
}

/** What a Map of strings is, in the order of the first `set` of each key, without what {@link Line} avoids. */
export class Table<Value> {
  readonly #entries: Record<string, Entry<Value>> = Object.create(null);
  readonly #line = new Line<Entry<Value>>();

  get size(): number {
    return this.#line.size;
  }

  get first(): Value | undefined {
    return this.#line.first?.value;
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
    const entry: Entry<Value> = { value, before: undefined, behind: undefined };
    this.#entries[key] = entry;
    this.#line.add(entry);
  }

  delete(key: string): void {
    const entry = this.#entries[key];
    if (entry === undefined) return;
    this.#line.delete(entry);
    delete this.#entries[key];
  }

  /** As they are now, whatever becomes of the table meanwhile. */
  values(): Value[] {
    return Array.from(this.#line, ({ value }) => value);
  }
}
