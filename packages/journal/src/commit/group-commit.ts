// Not the global one, which a test may fake: the journal would never write again.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '@holdfast/foundation';
import { awakeClock } from '../files/awake-clock.ts';
import type { Batch } from '../segments/batch.ts';

interface GroupCommitDeps {
  /** The largest size of the next batch, given the size of its first unit. */
  readonly capacity: (firstUnitBytes: number) => number;
  /** Makes a batch durable; resolves with its first sequence. */
  readonly commit: (batch: Batch) => Promise<number>;
  /** The least time from the end of one batch to the write of the next. */
  readonly pauseMs: number;
  readonly clock: Clock;
  /** The longest time in which a batch may make no progress. */
  readonly ioTimeoutMs: number;
  /** When the disk last returned from a call, by the clock. */
  readonly lastProgressMs: () => number;
  /** The disk does not answer; returns the errors of the records being written, and of those that wait. */
  readonly onStalled: () => { readonly written: Error; readonly waiting: Error };
  /** The batch in progress ended after all. @param late its records, if they are durable. */
  readonly onResumed: (late: number) => void;
}

/** The records of one call; they are never split between two batches. */
interface Unit extends Batch {
  isSettled: boolean;
  readonly resolve: (first: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The size of the buffer for one batch; larger batches are not faster. */
const MAX_BATCH_BYTES = 1_048_576;

/** A disk that moved on has this part of its time left at least: its process may have been suspended since. */
const LEAST_REST = 1 / 5;

/** Collects appends while a write is in progress, so that one sync serves all of them. */
export class GroupCommit {
  pendingRecords = 0;
  pendingBytes = 0;
  readonly #deps: GroupCommitDeps;
  #waiting: Unit[] = [];
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  /** Set while the batch in progress hangs. */
  #stall: { readonly waiting: Error } | undefined;
  #draining = false;
  #onStallOfDrain: (() => void) | undefined;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #endPause: (() => void) | undefined;

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
  }

  /** Resolves with the first sequence once the records are durable. */
  add(payloads: readonly Uint8Array[], bytes: number): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#stall !== undefined) return Promise.reject(this.#stall.waiting);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ payloads, bytes, resolve, reject, isSettled: false });
      this.pendingRecords += payloads.length;
      this.pendingBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  /** Rejects everything that waits, and every later call, with this; the write in progress goes on. */
  fail(error: Error): void {
    this.#failure = error;
    this.#reject(this.#takeAll(), error);
    this.#endPause?.();
  }

  /** Whether the batch in progress hangs. */
  get isStalled(): boolean {
    return this.#stall !== undefined;
  }

  /** Resolves when nothing waits, or the disk hangs; pauses between batches end at once. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#endPause?.();
    if (this.#running === undefined || this.#stall !== undefined) return;
    const stalled = new Promise<void>((resolve) => {
      this.#onStallOfDrain = resolve;
    });
    await Promise.race([this.#running, stalled]);
  }

  /** Resolves when the batch in progress has ended, however long it hangs. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { pauseMs, clock } = this.#deps;
    while (this.#waiting.length > 0) {
      // One turn of the event loop, in which the callers of the last batch can append again.
      await nextTurn();
      const restMs = this.#lastEndMs + pauseMs - clock.now();
      if (restMs > 0 && !this.#draining) await this.#pause(restMs);
      if (this.#waiting.length === 0) break;
      await this.#commit(this.#takeBatch());
      if (pauseMs > 0) this.#lastEndMs = clock.now();
    }
    this.#running = undefined;
  }

  async #commit(units: readonly Unit[]): Promise<void> {
    const watch = this.#watch(units);
    let late = 0;
    try {
      let sequence = await this.#deps.commit(joined(units));
      for (const unit of units) {
        if (unit.isSettled) late += unit.payloads.length;
        else this.#settle(unit);
        unit.resolve(sequence);
        sequence += unit.payloads.length;
      }
    } catch (error) {
      this.#reject(units, error);
    }
    watch.end();
    if (this.#stall === undefined) return;
    this.#stall = undefined;
    this.#deps.onResumed(late);
  }

  /** Gives the callers up when the disk makes no progress; the batch itself cannot be, and goes on. */
  #watch(units: readonly Unit[]): { end: () => void } {
    const { clock, ioTimeoutMs, lastProgressMs } = this.#deps;
    let isOver = false;
    const onTime = async (sinceMs: number): Promise<void> => {
      // After a blockade of the event loop timers come first: the disk may have answered long ago.
      await nextTurn();
      await nextTurn();
      if (isOver) return;
      const progressMs = lastProgressMs();
      const restMs = progressMs + ioTimeoutMs - clock.now();
      if (progressMs <= sinceMs) this.#giveUp(units);
      // After a suspension of the process no time is left.
      else timer = start(restMs > 0 ? restMs : ioTimeoutMs * LEAST_REST);
    };
    const start = (delayMs: number): Timer => {
      const sinceMs = clock.now();
      return awakeClock(clock).schedule(delayMs, () => void onTime(sinceMs));
    };
    let timer = start(ioTimeoutMs);
    return {
      end: () => {
        isOver = true;
        timer.cancel();
      },
    };
  }

  #giveUp(units: readonly Unit[]): void {
    const { written, waiting } = this.#deps.onStalled();
    this.#stall = { waiting };
    this.#reject(units, written);
    this.#reject(this.#takeAll(), waiting);
    this.#onStallOfDrain?.();
  }

  #takeAll(): Unit[] {
    return this.#waiting.splice(0);
  }

  #reject(units: readonly Unit[], error: unknown): void {
    for (const unit of units) {
      if (!unit.isSettled) this.#settle(unit);
      unit.reject(error);
    }
  }

  #takeBatch(): Unit[] {
    const limit = Math.min(MAX_BATCH_BYTES, this.#deps.capacity(this.#waiting[0]?.bytes ?? 0));
    let bytes = 0;
    let count = 0;
    for (const unit of this.#waiting) {
      if (count > 0 && bytes + unit.bytes > limit) break;
      bytes += unit.bytes;
      count += 1;
    }
    const batch = this.#waiting;
    this.#waiting = batch.splice(count);
    return batch;
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.schedule(delayMs, () => this.#endPause?.());
      this.#endPause = () => {
        timer.cancel();
        this.#endPause = undefined;
        resolve();
      };
    });
  }

  #settle(unit: Unit): void {
    unit.isSettled = true;
    this.pendingRecords -= unit.payloads.length;
    this.pendingBytes -= unit.bytes;
  }
}

function joined(units: readonly Unit[]): Batch {
  const [only] = units;
  if (only !== undefined && units.length === 1) return only;
  const payloads: Uint8Array[] = [];
  let bytes = 0;
  for (const unit of units) {
    // Appended one by one: `push(...)` has a limit on its arguments.
    for (const payload of unit.payloads) payloads.push(payload);
    bytes += unit.bytes;
  }
  return { payloads, bytes };
}
