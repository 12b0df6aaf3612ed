import { type Clock, settlesWithin } from '@holdfast/foundation';
import { type ErrorKind, classifyError, withTimeout } from '@holdfast/resilience';
import type { Sample } from './samples.ts';

/** Probes every endpoint at a fixed rate, however slow the responses are. */
export interface Probing {
  /**
   * Returns the probes whose result is known, in order of their start. That a probe is bad is known once it takes longer
   * than `maxLatencyMs`, although it is still in progress.
   */
  known(): readonly Sample[];
  /** Returns the probe of this number, or undefined while its result is not known. */
  at(index: number): Sample | undefined;
  /** Resolves when every probe in progress has ended, after `timeoutMs` at the latest. */
  stop(): Promise<void>;
}

export interface ProbingOptions {
  probes: Readonly<Record<string, (signal: AbortSignal) => unknown>>;
  intervalMs: number;
  timeoutMs: number;
  maxLatencyMs: number;
  clock: Clock;
  signal: AbortSignal;
  /** Called when a probe has ended. Must not throw. */
  readonly onSample: (sample: Sample) => void;
}

interface Probe {
  readonly endpoint: string;
  readonly startedMs: number;
  ended?: { readonly atMs: number; readonly error: ErrorKind | undefined };
}

export function startProbing(options: ProbingOptions): Probing {
  const { probes, intervalMs, timeoutMs, maxLatencyMs, clock, signal, onSample } = options;
  const sent: Probe[] = [];
  const inProgress = new Set<Promise<void>>();
  let timer = clock.schedule(0, round);

  function read(index: number): Sample | undefined {
    const probe = sent[index];
    if (probe === undefined) return undefined;
    const { endpoint, startedMs, ended } = probe;
    const endedMs = ended?.atMs ?? clock.now();
    const isLate = endedMs - startedMs > maxLatencyMs;
    if (ended === undefined && !isLate) return undefined;
    const error = ended?.error;
    const isGood = error === undefined && !isLate;
    return {
      endpoint,
      index,
      startedMs,
      endedMs,
      isGood,
      ...(error === undefined ? {} : { error }),
    };
  }

  async function send(
    endpoint: string,
    call: (signal: AbortSignal) => unknown,
    index: number,
  ): Promise<void> {
    const probe: Probe = { endpoint, startedMs: clock.now() };
    sent[index] = probe;
    const work = async (timed: AbortSignal): Promise<unknown> => call(timed);
    const error = await withTimeout(work, { timeoutMs, name: endpoint, signal, clock }).then(
      () => undefined,
      (caught: unknown) => classifyError(caught),
    );
    if (signal.aborted) return;
    probe.ended = { atMs: clock.now(), error };
    const sample = read(index);
    if (sample !== undefined) onSample(sample);
  }

  function round(): void {
    timer = clock.schedule(intervalMs, round);
    for (const [endpoint, call] of Object.entries(probes)) {
      const done = send(endpoint, call, sent.length);
      inProgress.add(done);
      void done.finally(() => inProgress.delete(done));
    }
  }

  return {
    known: () => sent.flatMap((_, index) => read(index) ?? []),
    at: read,
    async stop() {
      timer.cancel();
      // The timeout of a probe does not hold the process, which must not end before its caller has the result.
      await settlesWithin(clock, timeoutMs, Promise.all(inProgress));
    },
  };
}
