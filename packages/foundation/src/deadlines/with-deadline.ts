import type { Clock } from '../clock.ts';
import { onAbort } from '../signals.ts';

/**
 * Runs `work` with a signal that aborts after `limitMs` with the error of `late`, or with the caller's own reason
 * when `signal` aborts first. `work` is expected to settle when its signal aborts.
 */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal | undefined,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const release = onAbort(signal, () => controller.abort(signal?.reason));
  const timer = clock.schedule(limitMs, () => controller.abort(late()));
  try {
    return await work(controller.signal);
  } finally {
    timer.cancel();
    release();
  }
}

/** Whether `event` settles within `limitMs`. Never rejects. */
export async function settlesWithin(
  clock: Clock,
  limitMs: number,
  event: Promise<unknown>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.schedule(limitMs, () => resolve(false));
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    event.then(settled, settled);
  });
}
