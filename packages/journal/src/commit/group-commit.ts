import type { Clock } from '@holdfast/foundation';
import type { Batch } from '../segments/batch.ts';

interface GroupCommitDeps {
  /** The largest size of the next batch, given the size of its first unit. */
  readonly capacity: (firstUnitBytes: number) => number;
  /** Makes a batch durable; resolves with its first sequence. */
  readonly commit: (batch: Batch) => Promise<number>;
  /** The least time from the end of one batch to the write of the next. */
  readonly pauseMs: number;
  readonly clock: Clock;
}

/** The records of one call; they are never split between two batches. */
interface Unit extends Batch {
  readonly resolve: (first: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The size of the buffer for one batch; larger batches are not faster. */
const MAX_BATCH_BYTES = 1_048_576;

/** Collects appends while a write is in progress, so that one sync serves all of them. */
export class GroupCommit {
  pendingRecords = 0;
  pendingBytes = 0;
  readonly #deps: GroupCommitDeps;
  #waiting: Unit[] = [];
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  #draining = false;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #endPause: (() => void) | undefined;

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
  }

  /** Resolves with the first sequence once the records are durable. */
  add(payloads: readonly Uint8Array[], bytes: number): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ payloads, bytes, resolve, reject });
      this.pendingRecords += payloads.length;
      this.pendingBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  /** Rejects everything that waits, and every later call, with this; the write in progress goes on. */
  fail(error: Error): void {
    this.#failure = error;
    const refused = this.#waiting;
    this.#waiting = [];
    for (const unit of refused) {
      this.#settle(unit);
      unit.reject(error);
    }
    this.#endPause?.();
  }

  /** Resolves when nothing waits; pauses between batches end at once. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#endPause?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { pauseMs, clock } = this.#deps;
    while (this.#waiting.length > 0) {
      // One turn of the event loop, in which the callers of the last batch can append again.
      await new Promise(setImmediate);
      const restMs = pauseMs > 0 ? this.#lastEndMs + pauseMs - clock.now() : 0;
      if (restMs > 0 && !this.#draining) await this.#pause(restMs);
      if (this.#waiting.length === 0) break;
      await this.#commit(this.#takeBatch());
      if (pauseMs > 0) this.#lastEndMs = clock.now();
    }
    this.#running = undefined;
  }

  async #commit(units: readonly Unit[]): Promise<void> {
    try {
      let sequence = await this.#deps.commit(joined(units));
      for (const unit of units) {
        this.#settle(unit);
        unit.resolve(sequence);
        sequence += unit.payloads.length;
      }
    } catch (error) {
      for (const unit of units) {
        this.#settle(unit);
        unit.reject(error);
      }
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
