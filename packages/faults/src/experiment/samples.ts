import type { ErrorKind } from '@holdfast/resilience';
import { type Distribution, createHistogram } from '../histogram.ts';

/** What one probe found. */
export interface Sample {
  readonly endpoint: string;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Answered, and as fast as the steady state has it. */
  readonly isGood: boolean;
  /** What it failed of, when it did not answer. */
  readonly error?: ErrorKind;
}

/** What the probes of one phase found. */
export interface PhaseStats {
  readonly probes: number;
  /** Probes that failed or were too slow. */
  readonly bad: number;
  readonly badShare: number;
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  readonly latency: Distribution;
}

export function statsOf(samples: readonly Sample[]): PhaseStats {
  const latency = createHistogram();
  const errors: Partial<Record<ErrorKind, number>> = {};
  let bad = 0;
  for (const { startedMs, endedMs, isGood, error } of samples) {
    latency.record(endedMs - startedMs);
    if (!isGood) bad += 1;
    if (error !== undefined) errors[error] = (errors[error] ?? 0) + 1;
  }
  const badShare = samples.length === 0 ? 0 : bad / samples.length;
  return { probes: samples.length, bad, badShare, errors, latency: latency.read() };
}

/** When the service left its steady state and when it was back to stay. */
export interface Outage {
  /** When it was first seen, in the clock's milliseconds. */
  readonly seenMs: number;
  /** The answer to the first good probe after the last bad one; absent when none came. */
  readonly backMs?: number;
  readonly endpoints: readonly string[];
}

/** @param since only probes started from here on count. */
export function outageIn(samples: readonly Sample[], since: number): Outage | undefined {
  const bad = samples.filter(({ startedMs, isGood }) => startedMs >= since && !isGood);
  if (bad.length === 0) return undefined;
  const endpoints = [...new Set(bad.map(({ endpoint }) => endpoint))];
  const lastBad = new Map(bad.map(({ endpoint, startedMs }) => [endpoint, startedMs]));
  const returns = endpoints.map(
    (endpoint) =>
      samples.find(
        (sample) =>
          sample.endpoint === endpoint &&
          sample.isGood &&
          sample.startedMs > Math.max(since, lastBad.get(endpoint) ?? 0),
      )?.endedMs ?? Number.POSITIVE_INFINITY,
  );
  const seenMs = Math.min(...bad.map(({ endedMs }) => endedMs));
  const backMs = Math.max(...returns);
  return { seenMs, endpoints, ...(Number.isFinite(backMs) ? { backMs } : {}) };
}
