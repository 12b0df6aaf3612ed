import { sleep, systemClock } from '@holdfast/foundation';

const POLL_MS = 10;
/** A busy machine holds everything up for a while; nothing at all for so long is a fault of somebody's. */
const STALLED_MS = 60_000;

/** What a wait sees when it looks. */
export interface WaitProgress {
  readonly isDone: boolean;
  /** Changes with each step towards the end: what is far away may take as long as it needs. */
  readonly mark: number | string;
}

/**
 * Looks again and again until it is done, however long that takes, as long as there is progress.
 * @param describe says where it stands, when it stands still.
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

/** Asks again and again until the answer is yes, for a bounded time: by default a minute. */
export function waitUntil(ask: () => Promise<boolean> | boolean, withinMs?: number): Promise<void> {
  return waitUntilDone(
    async () => ({ isDone: await ask(), mark: 'not yet' }),
    () => ask.toString(),
    withinMs,
  );
}
