import { type Timer, systemClock } from '@holdfast/foundation';
import { takeDisk } from './ballast.ts';
import type { ResolvedResourceFault } from './resource-kinds.ts';

/** The space that is taken for a victim, one fault at a time, by the process that asked for it. */
export class DiskFault {
  /** Ends the writing of the fault that is being set. */
  #cleared = new AbortController();
  #timer: Timer | undefined;
  #free: (() => Promise<void>) | undefined;
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** @throws the error of the file system, or an AbortError when it is cleared meanwhile */
  async set(fault: ResolvedResourceFault): Promise<void> {
    this.#cleared.abort();
    const cleared = new AbortController();
    this.#cleared = cleared;
    await this.#then(async () => {
      await this.#release();
      cleared.signal.throwIfAborted();
      this.#free = await takeDisk(fault, cleared.signal);
      const expire = (): void => void this.#then(() => this.#release()).catch(() => {});
      this.#timer = systemClock.schedule(fault.forMs, expire, { holdsProcess: false });
    });
  }

  async clear(): Promise<void> {
    this.#cleared.abort();
    await this.#then(() => this.#release());
  }

  #then(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  async #release(): Promise<void> {
    this.#timer?.cancel();
    const free = this.#free;
    this.#free = undefined;
    await free?.();
  }
}
