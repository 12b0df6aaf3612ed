import type { ErrorKind } from '@holdfast/resilience';
import { type Distribution, createHistogram } from '@holdfast/foundation';

/** The result of one probe. */
export interface Sample {
  readonly endpoint: string;
  /** The number of the probe, in order of the starts. */
  readonly index: number;
  readonly startedMs: number;
  /** For a probe still in progress, the time of the reading. */
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

/** How an endpoint is without a fault. */
export interface EndpointBaseline {
  readonly probes: number;
  readonly bad: number;
  /** The median latency of its good probes. */
  readonly usualLatencyMs: number;
}

export function baselineOf(samples: readonly Sample[], endpoint: string): EndpointBaseline {
  const own = samples.filter((sample) => sample.endpoint === endpoint);
  const good = own.filter(({ isGood }) => isGood);
  const latencies = good
    .map(({ startedMs, endedMs }) => endedMs - startedMs)
    .toSorted((one, other) => one - other);
  const usualLatencyMs = latencies[latencies.length >> 1] ?? 0;
  return { probes: own.length, bad: own.length - good.length, usualLatencyMs };
}
