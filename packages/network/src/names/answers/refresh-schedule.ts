import type { Clock, Timer } from '@holdfast/foundation';
import type { NameEntry } from './name-entry.ts';

interface Due {
  readonly atMs: number;
  readonly entry: NameEntry;
}

/** More outdated items than that are removed at once. */
const MIN_OUTDATED = 64;

/** When names are to be renewed: a heap, and one timer for its first, which does not hold the process. */
export class RefreshSchedule {
  readonly #clock: Clock;
  readonly #onDue: (entry: NameEntry) => void;
  #heap: Due[] = [];
  #timer: Timer | undefined;
  #armedForMs = Infinity;
  #outdated = 0;

  constructor(clock: Clock, onDue: (entry: NameEntry) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Replaces the time of a name. */
  set(entry: NameEntry, atMs: number): void {
    if (entry.refreshAtMs !== Infinity) this.#outdated += 1;
    entry.refreshAtMs = atMs;
    this.#push({ atMs, entry });
    if (this.#outdated > Math.max(MIN_OUTDATED, this.#heap.length / 2)) this.#compact();
    this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
    this.#heap = [];
    this.#armedForMs = -Infinity;
  }

  #arm(): void {
    const [first] = this.#heap;
    if (first === undefined) return;
    if (first.atMs >= this.#armedForMs) {
      this.#timer?.rearm?.();
      return;
    }
    this.#timer?.cancel();
    this.#armedForMs = first.atMs;
    const delayMs = Math.max(0, first.atMs - this.#clock.now());
    this.#timer = this.#clock.schedule(delayMs, () => this.#run(), { holdsProcess: false });
  }

  #run(): void {
    const dueMs = Math.max(this.#armedForMs, this.#clock.now());
    this.#armedForMs = Infinity;
    for (
      let [first] = this.#heap;
      first !== undefined && first.atMs <= dueMs;
      [first] = this.#heap
    ) {
      this.#pop();
      if (!isCurrent(first)) {
        this.#outdated -= 1;
        continue;
      }
      first.entry.refreshAtMs = Infinity;
      this.#onDue(first.entry);
    }
    this.#arm();
  }

  #compact(): void {
    const current = this.#heap.filter(isCurrent);
    this.#heap = [];
    this.#outdated = 0;
    for (const due of current) this.#push(due);
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(due);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.atMs <= due.atMs) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const isRight = (heap[left + 1]?.atMs ?? Infinity) < (heap[left]?.atMs ?? Infinity);
      const below = isRight ? left + 1 : left;
      const child = heap[below];
      if (child === undefined || child.atMs >= last.atMs) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
  }
}

function isCurrent({ atMs, entry }: Due): boolean {
  return entry.refreshAtMs === atMs;
}
