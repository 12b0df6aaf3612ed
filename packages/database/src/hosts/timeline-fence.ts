import {
  type Clock,
  InvalidOptionError,
  type Timer,
  abortable,
  withDeadline,
} from '@holdfast/foundation';

/**
 * Stores the latest timeline beyond the life of this process: in a file (`createFileFence`), or in a place that
 * several processes share.
 */
export interface TimelineFence {
  /** The timeline stored last, by any process; `undefined` if none ever was. */
  load(): Promise<number | undefined> | number | undefined;
  /** Stores it, unless a greater one is stored already. */
  store(timeline: number): Promise<void> | void;
}

interface FenceDeps {
  readonly fenceStore: TimelineFence | undefined;
  readonly clock: Clock;
  /** How long a load or a store may take. */
  readonly timeoutMs: number;
  /** The fence was read, or a timeline stored: a host may be admitted now. */
  readonly onProgress: () => void;
  readonly onFailure: (action: 'load' | 'store', error: unknown) => void;
}

const RETRY_MS = 200;

/**
 * The latest timeline that any host was ever seen on. A host on an earlier one is abandoned, whatever it reports.
 * Until the stored timeline has been read no host gets writes. A timeline that cannot be stored is kept in memory
 * only, because that must not stop writes.
 */
export class Fence {
  readonly #deps: FenceDeps;
  #timeline = 0;
  /** The latest timeline that was stored, or could not be. */
  #attempted = 0;
  #stored = 0;
  #storing = false;
  #state: 'unread' | 'reading' | 'read' | 'ended' = 'unread';
  #timer: Timer | undefined;

  constructor(deps: FenceDeps) {
    this.#deps = deps;
    if (deps.fenceStore === undefined) this.#state = 'read';
  }

  get timeline(): number {
    return this.#timeline;
  }

  get isRead(): boolean {
    return this.#state === 'read';
  }

  /** Reads the stored timeline, and retries until that succeeds. */
  begin(): void {
    if (this.#state === 'unread') void this.#load();
  }

  /** A host was seen on this timeline. */
  raise(timeline: number): void {
    this.#timeline = Math.max(this.#timeline, timeline);
    if (this.#timeline > this.#stored && this.isRead) void this.#store();
  }

  /** Whether a host on this timeline may get writes: its timeline was read, and stored if it is new. */
  admits(timeline: number): boolean {
    return this.isRead && (this.#deps.fenceStore === undefined || timeline <= this.#attempted);
  }

  end(): void {
    this.#state = 'ended';
    this.#timer?.cancel();
  }

  async #load(): Promise<void> {
    const { fenceStore, onProgress, onFailure } = this.#deps;
    if (fenceStore === undefined) return;
    this.#state = 'reading';
    try {
      const stored = parseStoredTimeline(
        await this.#withTimeout('fence.load', () => fenceStore.load()),
      );
      if (this.#isEnded()) return;
      this.#state = 'read';
      this.#stored = stored;
      this.#attempted = stored;
      this.raise(stored);
      onProgress();
    } catch (error) {
      if (this.#isEnded()) return;
      this.#state = 'unread';
      onFailure('load', error);
      this.#retryLater(() => this.begin());
    }
  }

  async #store(): Promise<void> {
    const { fenceStore, onProgress, onFailure } = this.#deps;
    if (fenceStore === undefined || this.#storing) return;
    this.#storing = true;
    const timeline = this.#timeline;
    try {
      await this.#withTimeout('fence.store', () => fenceStore.store(timeline));
      this.#stored = timeline;
      this.#storing = false;
    } catch (error) {
      if (this.#isEnded()) return;
      onFailure('store', error);
      this.#retryLater(() => {
        this.#storing = false;
        this.raise(timeline);
      });
    }
    this.#attempted = timeline;
    if (!this.#isEnded()) onProgress();
  }

  /** Callers that wait for a primary have timers of their own that keep the process alive. */
  #retryLater(work: () => void): void {
    this.#timer = this.#deps.clock.schedule(RETRY_MS, work, { holdsProcess: false });
  }

  #withTimeout<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const { clock, timeoutMs } = this.#deps;
    const late = (): Error => new Error(`${name} did not settle within ${timeoutMs} ms`);
    return withDeadline(clock, timeoutMs, undefined, late, (signal) =>
      abortable((async () => work())(), signal),
    );
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }
}

/** @throws InvalidOptionError for anything but a timeline: treated as none, it would admit every host. */
function parseStoredTimeline(stored: unknown): number {
  if (stored === undefined) return 0;
  if (typeof stored === 'number' && Number.isSafeInteger(stored) && stored >= 0) return stored;
  throw new InvalidOptionError('fence', 'load()', stored, 'undefined, or a whole number from 0');
}
