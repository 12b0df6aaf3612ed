import { systemClock } from '@holdfast/foundation';
import { StorageDeniedError, StorageUnavailableError } from '../errors.ts';
import type { Storage } from '../storage.ts';
import { BucketAbsentError, ObjectExistsError } from './result.ts';

/** How long a write waits for the checks before it. */
const CHECK_MS = 2_000;

/** The storages whose bucket was there. */
const present = new WeakSet<Storage>();

/** What has to hold before a write. */
interface WriteCheck {
  readonly call: string;
  readonly storage: Storage;
  readonly bucket: string;
  readonly key: string;
  /** Whether it may replace an object. */
  readonly upsert: boolean;
}

/**
 * Checks that the path is free unless it may be replaced, and, until that was once seen, that the bucket exists.
 * What no backend answers in time counts as given: the write is accepted then.
 * @throws BucketAbsentError, ObjectExistsError
 */
export async function checkBeforeWrite(check: WriteCheck): Promise<void> {
  const { storage, key, upsert } = check;
  const isNew = !present.has(storage);
  if (upsert && !isNew) return;
  const [found] = await Promise.all([
    answerOf(check, (signal) => storage.exists(key, { signal })),
    // Some servers describe an absent bucket as they do an absent object.
    isNew && answerOf(check, (signal) => storage.list('', { limit: 1, signal })),
  ]);
  if (found !== undefined) present.add(storage);
  if (found === true && !upsert) throw new ObjectExistsError(check.call, key);
}

/** Has the next write look for the bucket again, because the primary did not take this one. */
export function forgetBucket(storage: Storage): void {
  present.delete(storage);
}

/** The answer; `undefined` when no backend gave one in time. @throws BucketAbsentError */
async function answerOf<T>(
  { call, bucket }: WriteCheck,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const controller = new AbortController();
  const timer = systemClock.schedule(CHECK_MS, () =>
    controller.abort(new Error('no response in time')),
  );
  try {
    return await ask(controller.signal);
  } catch (error) {
    // Who must not look may still create the object.
    if (error instanceof StorageUnavailableError || error instanceof StorageDeniedError) {
      if (error.attempts[0]?.failure.code !== 'NoSuchBucket') return undefined;
      throw new BucketAbsentError(call, bucket);
    }
    if (controller.signal.aborted) return undefined;
    throw error;
  } finally {
    timer.cancel();
  }
}
