import { type Clock, onAbort } from '@holdfast/foundation';

/** What one attempt came to; after a failure that is not final another one may follow. */
export type RouteAttemptResult<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown; readonly isFinal: boolean };

interface AttemptsDeps<T> {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /**
   * The next attempt, which never rejects; `undefined` when there is none.
   * @param cause `late`: the one before it has not answered yet
   */
  next(
    cause: 'first' | 'failed' | 'late',
  ): ((signal: AbortSignal) => Promise<RouteAttemptResult<T>>) | undefined;
  /** How long the newest attempt may take before another one joins it; `undefined`: any time. */
  lateAfterMs(): number | undefined;
}

/** The reason of attempts that are given up because another one was answered. */
const attemptLost: Error = new Error('another attempt was answered first');

/**
 * Makes attempts until one is answered: the next one when one has failed, or when it is late. Those that lose are aborted.
 * Resolves with the last failure when there is no further attempt; rejects with the signal's reason.
 */
export function makeAttempts<T>(deps: AttemptsDeps<T>): Promise<RouteAttemptResult<T>> {
  const { clock, signal } = deps;
  return new Promise((resolve, reject) => {
    const running = new Set<AbortController>();
    let timer: { cancel(): void } | undefined;
    let isOver = false;
    const end = (reason: unknown): void => {
      isOver = true;
      timer?.cancel();
      release();
      for (const controller of running) controller.abort(reason);
    };
    const settle = (result: RouteAttemptResult<T>): void => {
      end(attemptLost);
      resolve(result);
    };
    const begin = (cause: 'first' | 'failed' | 'late'): boolean => {
      timer?.cancel();
      const attempt = deps.next(cause);
      if (attempt === undefined) return false;
      const controller = new AbortController();
      running.add(controller);
      const lateAfterMs = deps.lateAfterMs();
      if (lateAfterMs !== undefined) timer = clock.schedule(lateAfterMs, () => void begin('late'));
      void attempt(controller.signal).then((result) => {
        running.delete(controller);
        if (isOver) return;
        if (result.kind === 'done' || result.isFinal) settle(result);
        else if (!begin('failed') && running.size === 0) settle(result);
      });
      return true;
    };
    const release = onAbort(signal, () => {
      end(signal.reason);
      reject(signal.reason);
    });
    if (signal.aborted) reject(signal.reason);
    else if (!begin('first')) settle({ kind: 'failed', error: undefined, isFinal: true });
  });
}
