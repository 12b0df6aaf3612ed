import { sleep, systemClock } from '@holdfast/foundation';

/** Calls that were made, and how they ended. */
export class Calls {
  made = 0;
  succeeded = 0;
  /** Failed in a way that says that nothing was applied. */
  notApplied = 0;
  failed = 0;

  get unsettled(): number {
    return this.made - this.succeeded - this.failed;
  }

  /** Makes one call; resolves with its value, or `undefined` when it fails. */
  async make<T>(call: () => Promise<T>): Promise<T | undefined> {
    this.made += 1;
    try {
      const value = await call();
      this.succeeded += 1;
      return value;
    } catch (error) {
      this.failed += 1;
      const outcome: unknown =
        typeof error === 'object' && error !== null ? Reflect.get(error, 'outcome') : undefined;
      if (outcome === 'not-applied') this.notApplied += 1;
      return undefined;
    }
  }

  /** Calls again and again until the signal aborts, with a pause after each. */
  async keep(call: () => Promise<unknown>, pauseMs: number, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      await this.make(call);
      await sleep(systemClock, pauseMs, until).catch(() => undefined);
    }
  }
}
