import type { Clock, Timer } from '@holdfast/foundation';

/** Records that become durable together. */
export interface Batch {
  readonly payloads: readonly Uint8Array[];
  /** What they take in a segment, frames included. */
  readonly bytes: number;
}

/** Gathers appends while a write is under way, so that one sync serves them all. */
export interface GroupCommit {
  /** Resolves with the first sequence once the records are durable. Units are never split. */
  add(payloads: readonly Uint8Array[], bytes: number): Promise<number>;
  /** Everything waiting, and added from now on, is rejected with this; the write under way is not. */
  fail(error: Error): void;
  /** Resolves when nothing is waiting; pauses between batches are cut short. */
  drain(): Promise<void>;
  readonly pendingRecords: number;
  readonly pendingBytes: number;
}

interface Unit extends Batch {
  readonly resolve: (first: number) => void;
  readonly reject: (error: unknown) => void;
}

/** Encoded into one buffer; larger batches gain no rate. */
const MAX_BATCH_BYTES = 1_048_576;

/**
 * @param options.capacity how many bytes the next batch may have when its first unit has so many.
 * @param options.commit makes a batch durable and gives its first sequence.
 * @param options.pauseMs the least time from one batch's end to the next one's write.
 */
export function createGroupCommit(options: {
  capacity: (firstUnitBytes: number) => number;
  commit: (batch: Batch) => Promise<number>;
  pauseMs: number;
  clock: Clock;
}): GroupCommit {
  const { capacity, commit, pauseMs, clock } = options;
  let waiting: Unit[] = [];
  let pendingRecords = 0;
  let pendingBytes = 0;
  let running: Promise<void> | undefined;
  let failure: Error | undefined;
  let draining = false;
  let lastEndMs = Number.NEGATIVE_INFINITY;
  let endPause: (() => void) | undefined;

  const settleUnit = (unit: Unit): void => {
    pendingRecords -= unit.payloads.length;
    pendingBytes -= unit.bytes;
  };

  const takeBatch = (): Unit[] => {
    const limit = Math.min(MAX_BATCH_BYTES, capacity(waiting[0]?.bytes ?? 0));
    let bytes = 0;
    let count = 0;
    for (const unit of waiting) {
      if (count > 0 && bytes + unit.bytes > limit) break;
      bytes += unit.bytes;
      count += 1;
    }
    const batch = waiting;
    waiting = batch.splice(count);
    return batch;
  };

  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      const timer: Timer = clock.schedule(delayMs, () => endPause?.());
      endPause = () => {
        timer.cancel();
        endPause = undefined;
        resolve();
      };
    });

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      // One turn for the callers of the batch before, who append again as they are told.
      await new Promise(setImmediate);
      const restMs = pauseMs > 0 ? lastEndMs + pauseMs - clock.now() : 0;
      if (restMs > 0 && !draining) await pause(restMs);
      if (waiting.length === 0) break;
      const units = takeBatch();
      try {
        let sequence = await commit(joined(units));
        for (const unit of units) {
          settleUnit(unit);
          unit.resolve(sequence);
          sequence += unit.payloads.length;
        }
      } catch (error) {
        for (const unit of units) {
          settleUnit(unit);
          unit.reject(error);
        }
      }
      if (pauseMs > 0) lastEndMs = clock.now();
    }
    running = undefined;
  };

  return {
    add(payloads, bytes) {
      if (failure !== undefined) return Promise.reject(failure);
      return new Promise((resolve, reject) => {
        waiting.push({ payloads, bytes, resolve, reject });
        pendingRecords += payloads.length;
        pendingBytes += bytes;
        running ??= run();
      });
    },
    fail(error) {
      failure = error;
      const refused = waiting;
      waiting = [];
      for (const unit of refused) {
        settleUnit(unit);
        unit.reject(error);
      }
      endPause?.();
    },
    async drain() {
      draining = true;
      endPause?.();
      await running;
    },
    get pendingRecords() {
      return pendingRecords;
    },
    get pendingBytes() {
      return pendingBytes;
    },
  };
}

function joined(units: readonly Unit[]): Batch {
  const [only] = units;
  if (only !== undefined && units.length === 1) return only;
  const payloads: Uint8Array[] = [];
  let bytes = 0;
  for (const unit of units) {
    if (unit.payloads.length === 1 && unit.payloads[0] !== undefined)
      payloads.push(unit.payloads[0]);
    else for (const payload of unit.payloads) payloads.push(payload);
    bytes += unit.bytes;
  }
  return { payloads, bytes };
}
