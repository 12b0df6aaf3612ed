import { abortable, callSafely } from '@holdfast/foundation';

/** The options of a call whose work gets the caller's own signal. */
export interface LateValueOptions<T> {
  /** Receives a value that arrives after the call has been aborted, such as a connection to close. */
  readonly onDiscarded?: ((value: T) => unknown) | undefined;
}

/** Options of one call of work that can be aborted. */
export interface WorkCallOptions<T = unknown> extends LateValueOptions<T> {
  /** Passed to the work. An abort rejects the call at once with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls `start`, and settles like its result, or with the signal's own reason as soon as it aborts.
 * @param onAborted called when the signal aborts before the work has settled.
 */
export function untilAborted<T>(
  start: (signal: AbortSignal) => T | PromiseLike<T>,
  signal: AbortSignal,
  options: LateValueOptions<T> | undefined,
  onAborted?: () => void,
): Promise<T> {
  // An async function, so that an error that `start` throws rejects the promise too.
  const work = (async () => start(signal))();
  const discard = (): void => {
    onAborted?.();
    const onDiscarded = options?.onDiscarded;
    if (onDiscarded === undefined) return;
    work.then(
      (value) => callSafely('onDiscarded', onDiscarded, value),
      () => undefined,
    );
  };
  // The work itself may have aborted the signal.
  if (signal.aborted) discard();
  return abortable(work, signal, discard);
}
