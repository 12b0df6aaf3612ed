import type { Clock } from '@holdfast/foundation';
import { classifyError, withTimeout } from '@holdfast/resilience';
import type { Sample } from './samples.ts';

/** Asks every endpoint at a steady pace, however slow the answers are. */
export interface Probing {
  /** By when they started. */
  readonly samples: readonly Sample[];
  /** Resolves when every probe under way has ended; the experiment's end aborts them. */
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
  const found: (Sample | undefined)[] = [];
  const underWay = new Set<Promise<void>>();
  let timer = clock.schedule(0, round);

  async function ask(
    endpoint: string,
    probe: (signal: AbortSignal) => unknown,
    index: number,
  ): Promise<void> {
    const startedMs = clock.now();
    const asked = async (timed: AbortSignal): Promise<unknown> => probe(timed);
    const error = await withTimeout(asked, { timeoutMs, name: endpoint, signal, clock }).then(
      () => undefined,
      (caught: unknown) => classifyError(caught),
    );
    if (signal.aborted) return;
    const endedMs = clock.now();
    const isGood = error === undefined && endedMs - startedMs <= maxLatencyMs;
    const failed = error === undefined ? {} : { error };
    const sample: Sample = { endpoint, startedMs, endedMs, isGood, ...failed };
    found[index] = sample;
    onSample(sample);
  }

  function round(): void {
    timer = clock.schedule(intervalMs, round);
    for (const [endpoint, probe] of Object.entries(probes)) {
      const index = found.push(undefined) - 1;
      const asked = ask(endpoint, probe, index);
      underWay.add(asked);
      void asked.finally(() => underWay.delete(asked));
    }
  }

  return {
    get samples() {
      return found.filter((sample) => sample !== undefined);
    },
    async stop() {
      timer.cancel();
      await Promise.all(underWay);
    },
  };
}
