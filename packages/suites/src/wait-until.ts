import { sleep, systemClock } from '@holdfast/foundation';

const POLL_MS = 10;
/** A busy machine delays everything, but no progress for this long is a failure. */
const STALLED_MS = 60_000;

/** The progress that a wait observes. */
export interface WaitProgress {
  readonly isDone: boolean;
  /** A value that changes with each step of progress. */
  readonly mark: number | string;
}

/**
 * Polls until the work is done, for as long as there is progress.
 * @param describe describes the state, for the error of a stalled wait.
 * @throws Error when the mark did not change for `stalledMs`, by default a minute.
 */
export async function waitUntilDone(
  look: () => Promise<WaitProgress> | WaitProgress,
  describe: () => Promise<string> | string,
  stalledMs: number = STALLED_MS,
): Promise<void> {
  let last: number | string | undefined;
  let movedMs = systemClock.now();
  while (true) {
    const { isDone, mark } = await look();
    if (isDone) return;
    const nowMs = systemClock.now();
    if (mark !== last) {
      last = mark;
      movedMs = nowMs;
    } else if (nowMs - movedMs > stalledMs) {
      throw new Error(`no progress within ${stalledMs} ms: ${await describe()}`);
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** Polls until the answer is yes, for a bounded time: by default a minute. */
export function waitUntil(ask: () => Promise<boolean> | boolean, withinMs?: number): Promise<void> {
  return waitUntilDone(
    async () => ({ isDone: await ask(), mark: 'not yet' }),
    () => ask.toString(),
    withinMs,
  );
}
