import { type Clock, seededRandom } from '@holdfast/foundation';
import type { AdaptiveLimit } from '@holdfast/resilience';

export interface ServerLoad {
  readonly limit: (clock: Clock) => AdaptiveLimit;
  readonly seed: number;
  readonly durationMs: number;
  /** Calls that want to be made per second at a moment. */
  readonly arrivalsPerSecond: (atMs: number) => number;
  /** How many calls the server works on at a time at a moment; the others queue there. */
  readonly workers: (atMs: number) => number;
  /** What one call takes a worker at a moment; each call draws 80 % to 120 % of it. */
  readonly serviceMs: (atMs: number) => number;
  /** A server with a queue this long drops what comes. Default: it never drops. */
  readonly queueMax?: number;
}

export interface Served {
  readonly atMs: number;
  readonly latencyMs: number;
}

export interface LimitSample {
  readonly atMs: number;
  readonly limit: number;
  readonly baselineMs: number | undefined;
}

export interface ServerRun {
  readonly served: readonly Served[];
  /** The limit and its baseline, ten times a second. */
  readonly samples: readonly LimitSample[];
  readonly dropped: number;
}

interface Running {
  readonly arrivedMs: number;
  readonly succeeded: () => void;
}

/**
 * A server of some workers and a first-come queue, called through an adaptive limit by callers who do
 * not wait for each other. Time is a variable: an hour takes a second, and a seed gives the same run.
 */
export function runSimulatedServer(load: ServerLoad): ServerRun {
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    epochMs: () => nowMs,
    schedule: () => ({ cancel() {} }),
  };
  const random = seededRandom(load.seed);
  const limit = load.limit(clock);
  const served: Served[] = [];
  const samples: LimitSample[] = [];
  const queue: Running[] = [];
  const working: { doneMs: number; call: Running }[] = [];
  let dropped = 0;
  let nextArrivalMs = 0;
  let nextSampleMs = 0;

  const employ = (): void => {
    while (working.length < load.workers(nowMs)) {
      const call = queue.shift();
      if (call === undefined) return;
      const tookMs = load.serviceMs(nowMs) * (0.8 + 0.4 * random());
      working.push({ doneMs: nowMs + tookMs, call });
    }
  };

  const arrive = (): void => {
    // Poisson arrivals: exponentially distributed gaps.
    nextArrivalMs += (-Math.log(1 - random()) * 1_000) / load.arrivalsPerSecond(nowMs);
    const permit = limit.tryAcquire();
    if (permit === undefined) return;
    const atOnce = working.length < load.workers(nowMs);
    if (!atOnce && queue.length >= (load.queueMax ?? Infinity)) {
      dropped += 1;
      permit.dropped();
      return;
    }
    queue.push({ arrivedMs: nowMs, succeeded: () => permit.succeeded() });
    employ();
  };

  while (nowMs < load.durationMs) {
    let first = 0;
    for (let index = 1; index < working.length; index += 1) {
      if ((working[index]?.doneMs ?? 0) < (working[first]?.doneMs ?? 0)) first = index;
    }
    const doneMs = working[first]?.doneMs ?? Infinity;
    nowMs = Math.min(doneMs, nextArrivalMs, nextSampleMs);
    if (nowMs === doneMs) {
      const [done] = working.splice(first, 1);
      done?.call.succeeded();
      served.push({ atMs: nowMs, latencyMs: nowMs - (done?.call.arrivedMs ?? nowMs) });
      employ();
    } else if (nowMs === nextArrivalMs) {
      arrive();
    } else {
      const stats = limit.getStats();
      samples.push({ atMs: nowMs, limit: stats.limit, baselineMs: stats.baselineMs });
      nextSampleMs += 100;
    }
  }
  return { served, samples, dropped };
}

/** Calls served in an interval per second, those slower than `latencyMaxMs` not counted. */
export function goodput(
  run: ServerRun,
  fromMs: number,
  toMs: number,
  latencyMaxMs: number,
): number {
  let count = 0;
  for (const { atMs, latencyMs } of run.served) {
    if (atMs >= fromMs && atMs < toMs && latencyMs <= latencyMaxMs) count += 1;
  }
  return (count * 1_000) / (toMs - fromMs);
}

export function quantileOf(run: ServerRun, fromMs: number, toMs: number, share: number): number {
  const within = run.served.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const sorted = within.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? NaN;
}
