import type { Clock } from '@holdfast/foundation';

/** How long a call may go on: until its deadline, the caller's abort, or the store's end. */
export interface Limit {
  /** Aborts at any of the three. */
  readonly signal: AbortSignal;
  /** Aborts at the deadline and at the store's end, whoever has called. */
  readonly own: AbortSignal;
  /** Whether the deadline was what ended it. */
  isExpired(): boolean;
  /** Leaves no timer and no listener. */
  dispose(): void;
}

export function limitOf(
  clock: Clock,
  timeoutMs: number,
  closing: AbortSignal,
  caller: AbortSignal | undefined,
): Limit {
  const own = new AbortController();
  const all = new AbortController();
  let expired = false;
  const end = (reason: unknown): void => {
    own.abort(reason);
    all.abort(reason);
  };
  const onClose = (): void => end(closing.reason);
  const onCaller = (): void => all.abort(caller?.reason);
  const timer = clock.schedule(timeoutMs, () => {
    expired = true;
    end(new DOMException(`not done within ${timeoutMs} ms`, 'TimeoutError'));
  });
  closing.addEventListener('abort', onClose);
  caller?.addEventListener('abort', onCaller);
  if (closing.aborted) onClose();
  else if (caller?.aborted === true) onCaller();
  return {
    signal: all.signal,
    own: own.signal,
    isExpired: () => expired,
    dispose() {
      timer.cancel();
      closing.removeEventListener('abort', onClose);
      caller?.removeEventListener('abort', onCaller);
    },
  };
}
