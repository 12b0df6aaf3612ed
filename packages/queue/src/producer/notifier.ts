/** Tells those who wait for room, or for the end of something, that it may be there. */
export class Notifier {
  readonly #waiting = new Set<() => void>();

  /** Resolves when it is told next; rejects with the signal's own reason. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(onProgress);
        reject(signal.reason);
      };
      const onProgress = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#waiting.add(onProgress);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  notifyAll(): void {
    for (const onProgress of this.#waiting) onProgress();
    this.#waiting.clear();
  }
}
