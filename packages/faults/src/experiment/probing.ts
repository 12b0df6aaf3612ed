import type { Clock } from '@holdfast/foundation';
import { classifyError, withTimeout } from '@holdfast/resilience';
import type { Sample } from './samples.ts';

/** Probes every endpoint at a fixed rate, however slow the responses are. */
export interface Probing {
  /** In order of their start. */
  readonly samples: readonly Sample[];
  /** Resolves when every probe in progress has ended. */
  stop(): Promise<void>;
}

export interface ProbingOptions {
  probes: Readonly<Record<string, (signal: AbortSignal) => unknown>>;
  intervalMs: number;
  timeoutMs: number;
  maxLatencyMs: number;
  clock: Clock;
  signal: AbortSignal;
  /** Must not throw. */
  readonly onSample: (sample: Sample) => void;
}

export function startProbing(options: ProbingOptions): Probing {
  const { probes, intervalMs, timeoutMs, maxLatencyMs, clock, signal, onSample } = options;
  const results: (Sample | undefined)[] = [];
  const inProgress = new Set<Promise<void>>();
  let timer = clock.schedule(0, round);

  async function send(
    endpoint: string,
    probe: (signal: AbortSignal) => unknown,
    index: number,
  ): Promise<void> {
    const startedMs = clock.now();
    const call = async (timed: AbortSignal): Promise<unknown> => probe(timed);
    const error = await withTimeout(call, { timeoutMs, name: endpoint, signal, clock }).then(
      () => undefined,
      (caught: unknown) => classifyError(caught),
    );
    if (signal.aborted) return;
    const endedMs = clock.now();
    const isGood = error === undefined && endedMs - startedMs <= maxLatencyMs;
    const failed = error === undefined ? {} : { error };
    const sample: Sample = { endpoint, startedMs, endedMs, isGood, ...failed };
    results[index] = sample;
    onSample(sample);
  }

  function round(): void {
    timer = clock.schedule(intervalMs, round);
    for (const [endpoint, probe] of Object.entries(probes)) {
      const index = results.push(undefined) - 1;
      const sent = send(endpoint, probe, index);
      inProgress.add(sent);
      void sent.finally(() => inProgress.delete(sent));
    }
  }

  return {
    get samples() {
      return results.filter((sample) => sample !== undefined);
    },
    async stop() {
      timer.cancel();
      await Promise.all(inProgress);
    },
  };
}
