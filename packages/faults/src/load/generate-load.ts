import {
  callback,
  type Clock,
  createHistogram,
  type Distribution,
  objectWith,
  integer,
  InvalidOptionError,
  number,
  oneOf,
  optional,
  type Random,
  parseOptions,
  type ResolvedOptions,
  seededRandom,
  sleep,
  systemClock,
} from '@holdfast/foundation';
import { type ErrorKind, classifyError } from '@holdfast/resilience';

export interface LoadOptions {
  /** How long requests are started, in milliseconds. */
  durationMs: number;
  /**
   * Open model: the number of requests that arrive each second, however slow the responses are. Without it the model
   * is closed: `users` send one request after the other.
   */
  ratePerSecond?: number;
  /** The distribution of arrivals in the open model. Default `poisson`. */
  arrivals?: 'even' | 'poisson';
  /** Open model: arrivals beyond this number of requests in flight are dropped and counted. Default 1 000. */
  maxInFlight?: number;
  /** Closed model: the number of users. Default 1. */
  users?: number;
  /** Closed model: the pause between a response and the next request of a user. Default 0. */
  thinkTimeMs?: number;
  /** How long to wait for the last responses before their requests are aborted. Default 10 000. */
  drainTimeoutMs?: number;
  /** The duration of one entry of the timeline. Default 1 000. */
  windowMs?: number;
  /** The seed of the arrivals. Default 1. */
  seed?: number;
  signal?: AbortSignal;
  clock?: Clock;
}

export interface LoadResult {
  /** Arrivals, started or not. */
  readonly offered: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Arrivals beyond `maxInFlight`. */
  readonly dropped: number;
  /** Requests without a response within `drainTimeoutMs` of the end. */
  readonly unfinished: number;
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  /**
   * From when a request was to be sent, so that a stall counts for every request that would have arrived meanwhile
   * (corrected for coordinated omission). In the closed model none would have.
   */
  readonly latency: Distribution;
  /** From when a request was sent. */
  readonly serviceTime: Distribution;
  /** The responses in each window, from the first on. */
  readonly timeline: readonly LoadWindow[];
  readonly elapsedMs: number;
  readonly succeededPerSecond: number;
}

export interface LoadWindow {
  readonly atMs: number;
  readonly succeeded: number;
  readonly failed: number;
}

const duration = { min: 0, max: 86_400_000 };
const shape = {
  durationMs: integer({ min: 1, max: 86_400_000 }),
  ratePerSecond: optional(number({ min: 0.001, max: 1_000_000 })),
  arrivals: oneOf(['even', 'poisson'], 'poisson'),
  maxInFlight: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  users: integer({ min: 1, max: 100_000, default: 1 }),
  thinkTimeMs: number({ ...duration, default: 0 }),
  drainTimeoutMs: integer({ ...duration, default: 10_000 }),
  windowMs: integer({ min: 10, max: 86_400_000, default: 1_000 }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const workRule = callback();
/** The options of one model only. */
const ofModel = { open: ['arrivals', 'maxInFlight'], closed: ['users', 'thinkTimeMs'] } as const;

type ResolvedLoad = ResolvedOptions<typeof shape>;
type Work = (signal: AbortSignal, requestNumber: number) => unknown;

/**
 * Sends requests as users would, and measures the latency they would see.
 * @param work one request; its signal aborts when the load ends before its response.
 * @throws InvalidOptionError, or the signal's reason.
 */
export async function generateLoad(work: Work, given: LoadOptions): Promise<LoadResult> {
  const options = parseOptions('generateLoad', shape, given);
  workRule.parse(work, 'work', 'generateLoad');
  refuseOtherModel(given, options.ratePerSecond !== undefined);
  const load = new Load(work, options);
  const { signal } = options;
  try {
    await load.run();
    await load.drain();
    signal?.throwIfAborted();
    return load.result();
  } finally {
    load.end(signal?.reason ?? new DOMException('the load is over', 'AbortError'));
  }
}

/** The requests of one load and their results. */
class Load {
  readonly #work: Work;
  readonly #options: ResolvedLoad;
  readonly #latency = createHistogram();
  readonly #serviceTime = createHistogram();
  readonly #counts = { offered: 0, succeeded: 0, failed: 0, dropped: 0 };
  readonly #errors: Partial<Record<ErrorKind, number>> = {};
  readonly #windows = new Map<number, { succeeded: number; failed: number }>();
  readonly #ending = new AbortController();
  readonly #beganMs: number;
  readonly #endMs: number;
  #inFlight = 0;
  #whenIdle = (): void => {};

  constructor(work: Work, options: ResolvedLoad) {
    this.#work = work;
    this.#options = options;
    this.#beganMs = options.clock.now();
    this.#endMs = this.#beganMs + options.durationMs;
  }

  async run(): Promise<void> {
    const { ratePerSecond, users, clock, durationMs, signal } = this.#options;
    if (ratePerSecond !== undefined) {
      await this.#runOpen(ratePerSecond);
      return;
    }
    const everyone = Promise.all(Array.from({ length: users }, () => this.#runUser()));
    // A user whose request hangs is awaited no longer than the drain allows.
    await Promise.race([everyone, sleep(clock, durationMs, signal)]);
  }

  /** Resolves when no request is in flight, at the deadline, or at the caller's abort. */
  drain(): Promise<void> {
    const { clock, drainTimeoutMs, signal } = this.#options;
    return new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = clock.schedule(drainTimeoutMs, finish);
      this.#whenIdle = finish;
      signal?.addEventListener('abort', finish, { once: true });
      if (this.#inFlight === 0) finish();
    });
  }

  end(reason: unknown): void {
    this.#ending.abort(reason);
  }

  result(): LoadResult {
    const elapsedMs = this.#options.clock.now() - this.#beganMs;
    return {
      ...this.#counts,
      unfinished: this.#inFlight,
      errors: this.#errors,
      latency: this.#latency.read(),
      serviceTime: this.#serviceTime.read(),
      timeline: timelineOf(this.#windows, this.#options.windowMs),
      elapsedMs,
      succeededPerSecond: (this.#counts.succeeded / elapsedMs) * 1_000,
    };
  }

  /** Starts requests at a rate, however slow the responses are. */
  async #runOpen(rate: number): Promise<void> {
    const { clock, signal, arrivals, seed, maxInFlight } = this.#options;
    const gapMs = gaps(arrivals, rate, seededRandom(seed));
    for (let atMs = this.#beganMs + gapMs(); atMs < this.#endMs; atMs += gapMs()) {
      const waitMs = atMs - clock.now();
      if (waitMs > 0) await sleep(clock, waitMs, signal);
      signal?.throwIfAborted();
      if (this.#inFlight < maxInFlight) void this.#send(atMs);
      else {
        this.#counts.offered += 1;
        this.#counts.dropped += 1;
      }
    }
    await sleep(clock, Math.max(0, this.#endMs - clock.now()), signal);
  }

  /** Sends one request after the other. */
  async #runUser(): Promise<void> {
    const { clock, signal, thinkTimeMs } = this.#options;
    while (clock.now() < this.#endMs) {
      signal?.throwIfAborted();
      await this.#send(clock.now());
      await sleep(clock, thinkTimeMs, this.#ending.signal);
    }
  }

  /** @param intendedMs when the request was to be sent. */
  async #send(intendedMs: number): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#ending;
    this.#counts.offered += 1;
    this.#inFlight += 1;
    const sentMs = clock.now();
    let outcome: 'succeeded' | 'failed' = 'succeeded';
    try {
      await this.#work(signal, this.#counts.offered);
    } catch (error) {
      outcome = 'failed';
      const kind = classifyError(error);
      if (!signal.aborted) this.#errors[kind] = (this.#errors[kind] ?? 0) + 1;
    }
    this.#inFlight -= 1;
    if (!signal.aborted) this.#record(outcome, intendedMs, sentMs);
    if (this.#inFlight === 0) this.#whenIdle();
  }

  #record(outcome: 'succeeded' | 'failed', intendedMs: number, sentMs: number): void {
    const { clock, windowMs } = this.#options;
    const endedMs = clock.now();
    const atMs = Math.floor((endedMs - this.#beganMs) / windowMs) * windowMs;
    const window = this.#windows.get(atMs) ?? { succeeded: 0, failed: 0 };
    this.#windows.set(atMs, window);
    this.#counts[outcome] += 1;
    window[outcome] += 1;
    this.#latency.record(endedMs - intendedMs);
    this.#serviceTime.record(endedMs - sentMs);
  }
}

/** Returns every window up to the last with a response, also empty ones, so that a stall is visible. */
function timelineOf(
  windows: ReadonlyMap<number, { succeeded: number; failed: number }>,
  windowMs: number,
): LoadWindow[] {
  const lastMs = [...windows.keys()].reduce((one, other) => Math.max(one, other), -windowMs);
  return Array.from({ length: lastMs / windowMs + 1 }, (_, index) => {
    const atMs = index * windowMs;
    const { succeeded = 0, failed = 0 } = windows.get(atMs) ?? {};
    return { atMs, succeeded, failed };
  });
}

/** Refuses an option of the other model, which would have no effect. @throws InvalidOptionError */
function refuseOtherModel(options: LoadOptions, isOpen: boolean): void {
  const permitted = isOpen ? 'left out beside ratePerSecond' : 'given beside ratePerSecond alone';
  for (const name of isOpen ? ofModel.closed : ofModel.open) {
    const value = options[name];
    if (value !== undefined) throw new InvalidOptionError('generateLoad', name, value, permitted);
  }
}

/** Returns the milliseconds from one arrival to the next. */
function gaps(arrivals: 'even' | 'poisson', rate: number, random: Random): () => number {
  const meanMs = 1_000 / rate;
  return arrivals === 'even' ? () => meanMs : () => -Math.log(1 - random()) * meanMs;
}
