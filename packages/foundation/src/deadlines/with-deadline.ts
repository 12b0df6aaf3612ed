import type { Clock } from '../clock.ts';

/**
 * Runs `work` with a signal that aborts after `limitMs` with what `late` makes, or with the caller's own
 * reason when `signal` aborts first. Work settles when its signal aborts; that is its part of the bargain.
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
  const onAbort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = clock.schedule(limitMs, () => controller.abort(late()));
  try {
    return await work(controller.signal);
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Whether `event` settles within `limitMs`; never rejects. */
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
