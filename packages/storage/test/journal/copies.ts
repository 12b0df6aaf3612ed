import { expect } from '@jest/globals';
import { AWAY, type TestStorage, openTestStorage } from '../open-storage.ts';

type Options = Parameters<typeof openTestStorage>[0];

/** A copy of the directory as a backup or a snapshot of the volume makes it, opened on the same servers. */
export function copyOf({ files, clock, primary, mirror }: TestStorage) {
  const snapshot = files.snapshot();
  return (options: Options = {}) =>
    openTestStorage(options, { files: snapshot, clock, primary, mirror });
}

export function away({ primary, mirror }: TestStorage, isAway: boolean): void {
  for (const backend of [primary, mirror]) {
    backend.intercept = () => (isAway ? { before: AWAY } : undefined);
  }
}

export async function closed({ storage, clock }: TestStorage): Promise<void> {
  await clock.settle(storage.close({ deadlineMs: 1 }));
}

export async function flushed({ storage, clock }: TestStorage): Promise<void> {
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  await clock.advance(60_000);
}

const queued = { acknowledgeWithinMs: 0 };
export const QUEUED: Options = queued;

/** A directory with a write that waits, of which a copy is made; then the original goes on, one life later if told so. */
export async function copied(oneLifeLater: boolean): Promise<{
  readonly original: TestStorage;
  readonly openCopy: ReturnType<typeof copyOf>;
}> {
  const first = await openTestStorage(QUEUED);
  await first.clock.settle(first.storage.upload('settled', 'x', { acknowledgeWithinMs: 5_000 }));
  away(first, true);
  await first.storage.upload('k', 'old');
  await first.clock.advance(10);
  if (!oneLifeLater) return { original: first, openCopy: copyOf(first) };
  await closed(first);
  const openCopy = copyOf(first);
  const { files, clock, primary, mirror } = first;
  const original = await openTestStorage(QUEUED, { files, clock, primary, mirror });
  return { original, openCopy };
}
