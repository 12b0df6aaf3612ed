/** Calls `listener` when the signal aborts; returns a function that removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  signal?.addEventListener('abort', listener, { once: true });
  return () => signal?.removeEventListener('abort', listener);
}

/**
 * Settles like `work`, or rejects with the signal's own reason as soon as it aborts; `work` itself continues.
 * No listener remains when it has settled.
 * @param onAborted called after the rejection, unless the signal had aborted before this call.
 */
export function abortable<T>(
  work: Promise<T>,
  signal: AbortSignal,
  onAborted?: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      // The work may still fail later, when no one handles its rejection.
      work.catch(() => {});
      reject(signal.reason);
      return;
    }
    const release = onAbort(signal, () => {
      reject(signal.reason);
      onAborted?.();
    });
    work.then(
      (value) => {
        release();
        resolve(value);
      },
      (error: unknown) => {
        release();
        reject(error);
      },
    );
  });
}
