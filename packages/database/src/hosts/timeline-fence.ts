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

/** Why writes wait for the fence. */
interface FenceObstacle {
  readonly seen: string;
  /** The error of the last load or store; `undefined` while the first attempt is under way. */
  readonly cause: unknown;
}

const RETRY_MS = 200;

/**
 * The latest timeline that any host was ever seen on. A host on an earlier one is abandoned, whatever it reports.
 * Until the stored timeline has been read no host gets writes, and a host on a later one gets them once that is stored:
 * a write that it had accepted before would be lost to a restart that knows only the former primary.
 */
export class Fence {
  readonly #deps: FenceDeps;
  #timeline = 0;
  #stored = 0;
  #storing = false;
  #state: 'unread' | 'reading' | 'read' | 'ended' = 'unread';
  #timer: Timer | undefined;
  #failure: unknown;

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

  /** What keeps hosts from being admitted; `undefined`: nothing does. */
  get obstacle(): FenceObstacle | undefined {
    const cause = this.#failure;
    if (!this.isRead) return { seen: 'the fence could not be read yet', cause };
    if (this.#deps.fenceStore === undefined || this.#timeline <= this.#stored) return undefined;
    return { seen: `the fence has not stored timeline ${this.#timeline} yet`, cause };
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

  /**
   * Whether a host on this timeline may get writes: the stored timeline was read, and the host's stored if it is new.
   * Without its timeline a host cannot be told from an abandoned one, so a store admits none.
   */
  admits(timeline: number | undefined): boolean {
    if (!this.isRead || this.#deps.fenceStore === undefined) return this.isRead;
    return timeline !== undefined && timeline <= this.#stored;
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
      this.#failure = undefined;
      this.#stored = stored;
      this.raise(stored);
      onProgress();
    } catch (error) {
      if (this.#isEnded()) return;
      this.#state = 'unread';
      this.#failure = error;
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
    } catch (error) {
      if (this.#isEnded()) return;
      this.#failure = error;
      onFailure('store', error);
      this.#retryLater(() => {
        this.#storing = false;
        this.raise(timeline);
      });
      return;
    }
    if (this.#isEnded()) return;
    this.#stored = timeline;
    this.#failure = undefined;
    this.#storing = false;
    onProgress();
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
