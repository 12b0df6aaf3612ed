import { type Clock, InvalidOptionError, type Timer } from '@holdfast/foundation';
import { withTimeout } from '@holdfast/resilience';

/**
 * Where the latest timeline is kept beyond the life of this process: a file (`createFileFence`), or wherever
 * several processes may share it.
 */
export interface TimelineFence {
  /** What was stored last, by whomever; `undefined` where nothing ever was. */
  load(): Promise<number | undefined> | number | undefined;
  /** Keeps it. Of two that are stored the greater must stay. */
  store(timeline: number): Promise<void> | void;
}

export interface FenceOptions {
  readonly keeper: TimelineFence | undefined;
  readonly clock: Clock;
  /** How long a load or a store may take. */
  readonly timeoutMs: number;
  /** The fence has been read, or a timeline stored: whoever waits for that may look again. */
  readonly onProgress: () => void;
  readonly onFailure: (action: 'load' | 'store', error: unknown) => void;
}

const AGAIN_MS = 200;

/**
 * The latest timeline that any host was ever seen on. Whoever is on an earlier one has been left behind, whatever
 * it says of itself. Until it has been read, nothing is known, and nobody is to be written to; one that cannot
 * be stored is kept in memory alone, because writes are not to stop for that.
 */
export class Fence {
  readonly #options: FenceOptions;
  #timeline = 0;
  /** Stored, or tried in vain. */
  #settled = 0;
  #stored = 0;
  #storing = false;
  #state: 'unread' | 'reading' | 'read' | 'ended' = 'unread';
  #retry: Timer | undefined;

  constructor(options: FenceOptions) {
    this.#options = options;
    if (options.keeper === undefined) this.#state = 'read';
  }

  get timeline(): number {
    return this.#timeline;
  }

  get isRead(): boolean {
    return this.#state === 'read';
  }

  /** Reads it, again and again until that succeeds. */
  begin(): void {
    if (this.#state === 'unread') void this.#load();
  }

  /** A host was seen on this timeline. */
  raise(timeline: number): void {
    this.#timeline = Math.max(this.#timeline, timeline);
    if (this.#timeline > this.#stored && this.isRead) void this.#store();
  }

  /** Whether a host on this timeline may be written to: it is kept that the ones before are left. */
  admits(timeline: number): boolean {
    return this.isRead && (this.#options.keeper === undefined || timeline <= this.#settled);
  }

  end(): void {
    this.#state = 'ended';
    this.#retry?.cancel();
  }

  async #load(): Promise<void> {
    const { keeper, onProgress, onFailure } = this.#options;
    if (keeper === undefined) return;
    this.#state = 'reading';
    try {
      const stored = readTimeline(await this.#bounded('fence.load', () => keeper.load()));
      if (this.#isEnded()) return;
      this.#state = 'read';
      this.#stored = stored;
      this.#settled = stored;
      this.raise(stored);
      onProgress();
    } catch (error) {
      if (this.#isEnded()) return;
      this.#state = 'unread';
      onFailure('load', error);
      this.#again(() => this.begin());
    }
  }

  async #store(): Promise<void> {
    const { keeper, onProgress, onFailure } = this.#options;
    if (keeper === undefined || this.#storing) return;
    this.#storing = true;
    const timeline = this.#timeline;
    try {
      await this.#bounded('fence.store', () => keeper.store(timeline));
      this.#stored = timeline;
      this.#storing = false;
    } catch (error) {
      if (this.#isEnded()) return;
      onFailure('store', error);
      this.#again(() => {
        this.#storing = false;
        this.raise(timeline);
      });
    }
    this.#settled = timeline;
    if (!this.#isEnded()) onProgress();
  }

  /** Callers who wait for a primary have timers of their own that hold the process. */
  #again(work: () => void): void {
    this.#retry = this.#options.clock.schedule(AGAIN_MS, work, { holdsProcess: false });
  }

  #bounded<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    return withTimeout(async () => work(), { name, timeoutMs, clock });
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }
}

/** @throws InvalidOptionError for what is not a timeline: taken for none, it would let everybody in. */
function readTimeline(stored: unknown): number {
  if (stored === undefined) return 0;
  if (typeof stored === 'number' && Number.isSafeInteger(stored) && stored >= 0) return stored;
  throw new InvalidOptionError('fence', 'load()', stored, 'undefined, or a whole number from 0');
}
