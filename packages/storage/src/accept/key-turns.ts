import { LinkedList, ListNode, OrderedMap, abortable } from '@holdfast/foundation';

/**
 * `write`: an object is stored under the key, or removed. `copy`: the object is read, for another key. `move`: it is
 * read, and removed once it is stored elsewhere.
 */
type TurnKind = 'write' | 'copy' | 'move';

/** The place of one call in the line of its key. */
export interface KeyTurn {
  /**
   * Resolves when the calls before it are through; `undefined` when they are already. After `letWritesPass` it does so
   * when none of those that passed runs any more.
   * @throws the signal's own reason; the place is kept until `end`
   */
  begin(signal?: AbortSignal): Promise<void> | undefined;
  /** A move has read its object: writes that were called later may go on, and other moves and copies may not. */
  letWritesPass(): void;
  /** Leaves the line. */
  end(): void;
}

/**
 * The calls that write or copy the objects of a storage, one line for each key, in the order in which they were made.
 * A call takes its places in all its lines at once, so that no two calls ever wait for each other.
 */
export class KeyTurns {
  readonly #lines = new OrderedMap<LinkedList<Place>>();

  /** Takes the next place in the line of the key. */
  take(key: string, kind: TurnKind): KeyTurn {
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = new LinkedList();
      this.#lines.set(key, line);
    }
    const place = new Place(kind, line, () => this.#lines.delete(key));
    line.append(place);
    return place;
  }
}

class Place extends ListNode implements KeyTurn {
  readonly #kind: TurnKind;
  readonly #line: LinkedList<Place>;
  readonly #onEmpty: () => void;
  #state: 'waiting' | 'running' | 'passable' | 'returning' = 'waiting';
  #start: (() => void) | undefined;

  constructor(kind: TurnKind, line: LinkedList<Place>, onEmpty: () => void) {
    super();
    this.#kind = kind;
    this.#line = line;
    this.#onEmpty = onEmpty;
  }

  begin(signal?: AbortSignal): Promise<void> | undefined {
    if (this.#state === 'passable') this.#state = 'returning';
    if (this.#isDue()) {
      this.#state = 'running';
      return undefined;
    }
    const started = new Promise<void>((resolve) => {
      this.#start = resolve;
    });
    return signal === undefined ? started : abortable(started, signal);
  }

  letWritesPass(): void {
    this.#state = 'passable';
    this.#startOthers();
  }

  end(): void {
    if (!this.#line.remove(this)) return;
    if (this.#line.size === 0) this.#onEmpty();
    else this.#startOthers();
  }

  #startOthers(): void {
    for (const place of this.#line) {
      if (place.#start !== undefined && place.#isDue()) {
        place.#state = 'running';
        place.#start();
        place.#start = undefined;
      }
      // Nothing behind it can be due.
      if (place.#kind !== 'copy' && place.#state !== 'passable') return;
    }
  }

  #isDue(): boolean {
    for (const before of this.#line) {
      if (before === this) break;
      if (before.#holdsUp(this)) return false;
    }
    if (this.#state !== 'returning') return true;
    for (const other of this.#line) if (other.#state === 'running') return false;
    return true;
  }

  #holdsUp(later: Place): boolean {
    if (later.#kind === 'copy') return this.#kind !== 'copy';
    return later.#kind === 'move' || this.#state !== 'passable';
  }
}
