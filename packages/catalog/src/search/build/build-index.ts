import {
  type Clock,
  InvalidOptionError,
  abortable,
  callSafely,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
  withDeadline,
} from '@holdfast/foundation';
import { IndexBuildError } from '../errors.ts';
import { BuildWorker } from './build-worker.ts';
import type { BuiltIndex } from './index-builder.ts';

/** Options of `buildIndex`. */
export interface BuildIndexOptions {
  /** What the builder may take beside the index itself, in bytes. Default 384 MiB. */
  maxBytes?: number;
  /** The heap of the worker, in MiB; its columns are not a part of it. Default 384. */
  maxHeapMb?: number;
  /** What a batch may take, in bytes; a 64th of the heap at most. Default 4 MiB. */
  maxBatchBytes?: number;
  /** How many batches may be with the worker at a time. Default 4. */
  maxBatchesInFlight?: number;
  /** How long it may take, in milliseconds. Default 10 minutes. */
  timeoutMs?: number;
  /** Ends the build and its worker; it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const MIB = 1_048_576;
/**
 * The objects of a hostile batch take so many times its bytes. A parser that runs out of memory would end the process, and
 * not only the thread.
 */
const MAX_EXPANSION = 64;

const schema = {
  maxBytes: integer({ min: MIB, max: 4_096 * MIB, default: 384 * MIB }),
  maxHeapMb: integer({ min: 16, max: 16_384, default: 384 }),
  maxBatchBytes: integer({ min: 2, max: 256 * MIB, default: 4 * MIB }),
  maxBatchesInFlight: integer({ min: 1, max: 64, default: 4 }),
  timeoutMs: integer({ min: 1, max: 86_400_000, default: 600_000 }),
  signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])),
  clock: objectWith<Clock>(['now', 'schedule'], systemClock),
};

/**
 * Builds an index in a thread of its own, so that this one goes on serving. The next batch is asked for when the worker
 * has room; each is an array of bundles as {@link encodeBatch} writes it. The documents are numbered in the order in
 * which they come, from 0. When it has settled, the thread has ended, and batches that are left over
 * were closed.
 * @throws IndexBuildError why there is no index.
 * @throws InvalidOptionError
 * @throws the reason of `signal`, or what the batches throw.
 */
export async function buildIndex(
  batches: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: BuildIndexOptions = {},
): Promise<BuiltIndex> {
  const settings = parseOptions('buildIndex', schema, options);
  const { maxBytes, maxHeapMb, maxBatchBytes, maxBatchesInFlight, timeoutMs, clock } = settings;
  const maxOfHeap = Math.floor((maxHeapMb * MIB) / MAX_EXPANSION);
  if (maxBatchBytes > maxOfHeap) {
    const permitted = `at most ${maxOfHeap}, a ${MAX_EXPANSION}th of maxHeapMb`;
    throw new InvalidOptionError('buildIndex', 'maxBatchBytes', maxBatchBytes, permitted);
  }
  const late = (): IndexBuildError =>
    new IndexBuildError('timeout', `it took longer than ${timeoutMs} ms to build`);
  return withDeadline(clock, timeoutMs, settings.signal, late, async (limit) => {
    const worker = new BuildWorker({ maxBytes, maxHeapMb, maxInFlight: maxBatchesInFlight });
    const signal = AbortSignal.any([limit, worker.failed]);
    try {
      for await (const bytes of untilAborted(batches, signal)) {
        checkBatch(bytes, maxBatchBytes);
        await worker.add(bytes, signal);
      }
      return await worker.finish(signal);
    } finally {
      await worker.close();
    }
  });
}

function checkBatch(bytes: unknown, maxBytes: number): asserts bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array)) {
    throw new InvalidOptionError('buildIndex', 'batches', bytes, 'of Uint8Array');
  }
  if (bytes.length > maxBytes) {
    const seen = `a batch has ${bytes.length} bytes, over ${maxBytes}`;
    throw new IndexBuildError('too-large', seen);
  }
}

/** The batches; a wait for the next ends when the signal aborts, whether or not the source notices. */
async function* untilAborted(
  batches: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator =
    Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]();
  let isDone = false;
  try {
    while (true) {
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // It may never answer, and what it throws comes too late.
    if (!isDone) callSafely('closing the batches of buildIndex', () => iterator.return?.());
  }
}
