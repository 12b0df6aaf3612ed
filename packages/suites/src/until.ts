import { sleep, systemClock } from '@holdfast/resilience';

const POLL_MS = 10;
/** A busy machine holds everything up for a while; nothing at all for so long is a fault of somebody's. */
const STALLED_MS = 60_000;

/** What a wait sees when it looks. */
export interface Progress {
  readonly isDone: boolean;
  /** Changes with each step towards the end: what is far away may take as long as it needs. */
  readonly mark: number | string;
}

/**
 * Looks again and again until it is done, however long that takes, as long as there is progress.
 * @param describe says where it stands, when it stands still.
 * @throws Error when the mark did not change for a minute.
 */
export async function untilDone(
  look: () => Promise<Progress> | Progress,
  describe: () => Promise<string> | string,
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
    } else if (nowMs - movedMs > STALLED_MS) {
      throw new Error(`no progress within ${STALLED_MS} ms: ${await describe()}`);
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** Asks a server again and again until it says yes, for a bounded time. */
export function untilTrue(ask: () => Promise<boolean>): Promise<void> {
  return untilDone(
    async () => ({ isDone: await ask(), mark: 'not yet' }),
    () => ask.toString(),
  );
}
