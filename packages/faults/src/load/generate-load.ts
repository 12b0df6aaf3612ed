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
  seededRandom,
  sleep,
  systemClock,
} from '@holdfast/foundation';
import { type ErrorKind, classifyError } from '@holdfast/resilience';

export interface LoadOptions {
  /** How long requests are started, in milliseconds. */
  durationMs: number;
  /**
   * Open model: so many requests arrive each second, however slow the answers are. Left out, the model is
   * closed: `users` send one request after the other.
   */
  ratePerSecond?: number;
  /** How the arrivals of the open model are spread. Default `poisson`. */
  arrivals?: 'even' | 'poisson';
  /** Open model: arrivals beyond so many requests under way are dropped and counted. Default 1 000. */
  maxInFlight?: number;
  /** Closed model: how many send at one time. Default 1. */
  users?: number;
  /** Closed model: a user's pause between answer and next request. Default 0. */
  thinkTimeMs?: number;
  /** How long the last answers are waited for; then their requests are aborted. Default 10 000. */
  drainTimeoutMs?: number;
  /** The width of one entry of the timeline. Default 1 000. */
  windowMs?: number;
  /** Where the arrivals' chance begins. Default 1. */
  seed?: number;
  signal?: AbortSignal;
  clock?: Clock;
}

export interface LoadResult {
  /** Arrivals, whether or not they could be started. */
  readonly offered: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Arrivals beyond `maxInFlight`. */
  readonly dropped: number;
  /** No answer within `drainTimeoutMs` of the end. */
  readonly unfinished: number;
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  /**
   * From when a request was to be sent, so that a stall counts for all who would have come meanwhile
   * (coordinated omission corrected). In the closed model nobody else would have come.
   */
  readonly latency: Distribution;
  /** From when it was really sent. */
  readonly serviceTime: Distribution;
  /** Answers in each window from the first on, by when they came. */
  readonly timeline: readonly LoadWindow[];
  readonly elapsedMs: number;
  readonly succeededPerSecond: number;
}

export interface LoadWindow {
  readonly atMs: number;
  readonly succeeded: number;
  readonly failed: number;
}

const durationMs = { min: 0, max: 86_400_000 };
const shape = {
  durationMs: integer({ min: 1, max: 86_400_000 }),
  ratePerSecond: optional(number({ min: 0.001, max: 1_000_000 })),
  arrivals: oneOf(['even', 'poisson'], 'poisson'),
  maxInFlight: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  users: integer({ min: 1, max: 100_000, default: 1 }),
  thinkTimeMs: number({ ...durationMs, default: 0 }),
  drainTimeoutMs: integer({ ...durationMs, default: 10_000 }),
  windowMs: integer({ min: 10, max: 86_400_000, default: 1_000 }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const workRule = callback();
/** What has a meaning in one model alone. */
const ofModel = { open: ['arrivals', 'maxInFlight'], closed: ['users', 'thinkTimeMs'] } as const;

/**
 * Sends requests as users would, and measures what they would feel.
 * @param work one request; its signal is aborted when the load ends without its answer.
 * @throws InvalidOptionError, or the signal's own reason.
 */
export async function generateLoad(
  work: (signal: AbortSignal, requestNumber: number) => unknown,
  options: LoadOptions,
): Promise<LoadResult> {
  const settled = parseOptions('generateLoad', shape, options);
  workRule.parse(work, 'work', 'generateLoad');
  refuseOtherModel(options, settled.ratePerSecond !== undefined);
  const { clock, signal, ratePerSecond, windowMs } = settled;
  const latency = createHistogram();
  const serviceTime = createHistogram();
  const counts = { offered: 0, succeeded: 0, failed: 0, dropped: 0 };
  const errors: Partial<Record<ErrorKind, number>> = {};
  const windows = new Map<number, { succeeded: number; failed: number }>();
  const ending = new AbortController();
  const beganMs = clock.now();
  const endMs = beganMs + settled.durationMs;
  let inFlight = 0;
  let whenIdle = (): void => {};

  const send = async (intendedMs: number): Promise<void> => {
    counts.offered += 1;
    inFlight += 1;
    const sentMs = clock.now();
    let isAnswered = true;
    try {
      await work(ending.signal, counts.offered);
    } catch (error) {
      isAnswered = false;
      const kind = classifyError(error);
      if (!ending.signal.aborted) errors[kind] = (errors[kind] ?? 0) + 1;
    }
    inFlight -= 1;
    if (!ending.signal.aborted) {
      const answeredMs = clock.now();
      const atMs = Math.floor((answeredMs - beganMs) / windowMs) * windowMs;
      const seen = windows.get(atMs) ?? { succeeded: 0, failed: 0 };
      windows.set(atMs, seen);
      const outcome = isAnswered ? 'succeeded' : 'failed';
      counts[outcome] += 1;
      seen[outcome] += 1;
      latency.record(answeredMs - intendedMs);
      serviceTime.record(answeredMs - sentMs);
    }
    if (inFlight === 0) whenIdle();
  };

  const arrive = async (rate: number): Promise<void> => {
    const gapMs = gaps(settled.arrivals, rate, seededRandom(settled.seed));
    for (let atMs = beganMs + gapMs(); atMs < endMs; atMs += gapMs()) {
      const waitMs = atMs - clock.now();
      if (waitMs > 0) await sleep(clock, waitMs, signal);
      signal?.throwIfAborted();
      if (inFlight < settled.maxInFlight) void send(atMs);
      else {
        counts.offered += 1;
        counts.dropped += 1;
      }
    }
    await sleep(clock, Math.max(0, endMs - clock.now()), signal);
  };
  const use = async (): Promise<void> => {
    while (clock.now() < endMs) {
      signal?.throwIfAborted();
      await send(clock.now());
      await sleep(clock, settled.thinkTimeMs, ending.signal);
    }
  };
  /** Resolves when every answer is there; the deadline or the caller's abort ends the wait as well. */
  const drain = (): Promise<void> =>
    new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = clock.schedule(settled.drainTimeoutMs, finish);
      whenIdle = finish;
      signal?.addEventListener('abort', finish, { once: true });
      if (inFlight === 0) finish();
    });

  try {
    if (ratePerSecond === undefined) {
      const everybody = Promise.all(Array.from({ length: settled.users }, use));
      // A user whose request hangs is not waited for longer than the drain allows.
      await Promise.race([everybody, sleep(clock, settled.durationMs, signal)]);
    } else {
      await arrive(ratePerSecond);
    }
    await drain();
    signal?.throwIfAborted();
    const elapsedMs = clock.now() - beganMs;
    return {
      ...counts,
      unfinished: inFlight,
      errors,
      latency: latency.read(),
      serviceTime: serviceTime.read(),
      timeline: timelineOf(windows, windowMs),
      elapsedMs,
      succeededPerSecond: (counts.succeeded / elapsedMs) * 1_000,
    };
  } finally {
    ending.abort(signal?.reason ?? new DOMException('the load is over', 'AbortError'));
  }
}

/** Every window to the last that saw an answer, also those that saw none: a stall is to be seen. */
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

/** An option of the other model would be left aside without a word. @throws InvalidOptionError */
function refuseOtherModel(options: LoadOptions, isOpen: boolean): void {
  const permitted = isOpen ? 'left out beside ratePerSecond' : 'given beside ratePerSecond alone';
  for (const name of isOpen ? ofModel.closed : ofModel.open) {
    const value = options[name];
    if (value !== undefined) throw new InvalidOptionError('generateLoad', name, value, permitted);
  }
}

/** Milliseconds from one arrival to the next. */
function gaps(arrivals: 'even' | 'poisson', rate: number, random: Random): () => number {
  const meanMs = 1_000 / rate;
  return arrivals === 'even' ? () => meanMs : () => -Math.log(1 - random()) * meanMs;
}
