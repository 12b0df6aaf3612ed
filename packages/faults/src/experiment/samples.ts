import type { ErrorKind } from '@holdfast/resilience';
import { type Distribution, createHistogram } from '@holdfast/foundation';

/** The result of one probe. */
export interface Sample {
  readonly endpoint: string;
  readonly startedMs: number;
  readonly endedMs: number;
  /** It succeeded within the latency of the steady state. */
  readonly isGood: boolean;
  /** The error of a failed probe. */
  readonly error?: ErrorKind;
}

/** The results of the probes of one phase. */
export interface PhaseStats {
  readonly probes: number;
  /** Probes that failed or were too slow. */
  readonly bad: number;
  readonly badShare: number;
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  readonly latency: Distribution;
}

/** Counts the results of the probes of a phase. */
interface SampleCounter {
  record(sample: Sample): void;
  read(): PhaseStats;
}

export function createSampleCounter(): SampleCounter {
  const latency = createHistogram();
  const errors: Partial<Record<ErrorKind, number>> = {};
  let probes = 0;
  let bad = 0;
  return {
    record({ startedMs, endedMs, isGood, error }) {
      probes += 1;
      latency.record(endedMs - startedMs);
      if (!isGood) bad += 1;
      if (error !== undefined) errors[error] = (errors[error] ?? 0) + 1;
    },
    read: () => ({
      probes,
      bad,
      badShare: probes === 0 ? 0 : bad / probes,
      errors: { ...errors },
      latency: latency.read(),
    }),
  };
}

export function statsOf(samples: readonly Sample[]): PhaseStats {
  const counter = createSampleCounter();
  for (const sample of samples) counter.record(sample);
  return counter.read();
}

/** Returns the endpoints that were bad more often in a phase than without a fault. */
export function endpointsOutside(phase: readonly Sample[], maxBadShare: number): Set<string> {
  const counts = new Map<string, { probes: number; bad: number }>();
  for (const { endpoint, isGood } of phase) {
    const count = counts.get(endpoint) ?? { probes: 0, bad: 0 };
    counts.set(endpoint, count);
    count.probes += 1;
    if (!isGood) count.bad += 1;
  }
  const outside = [...counts].filter(([, { probes, bad }]) => bad / probes > maxBadShare);
  return new Set(outside.map(([endpoint]) => endpoint));
}

/** When the service left its steady state, and when it was back for good. */
interface Outage {
  /** When it was first detected, in the clock's milliseconds. */
  readonly detectedMs: number;
  /** The end of the first good probe after the last bad one; absent when there was none. */
  readonly backMs?: number;
  readonly endpoints: readonly string[];
}

/** @param since probes that started earlier do not count. */
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
  const detectedMs = Math.min(...bad.map(({ endedMs }) => endedMs));
  const backMs = Math.max(...returns);
  return { detectedMs, endpoints, ...(Number.isFinite(backMs) ? { backMs } : {}) };
}
