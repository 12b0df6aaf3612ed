import { type Clock, sleep } from '@holdfast/foundation';
import { type Probing, type ProbingOptions, startProbing } from './probing.ts';
import type { Sample } from './samples.ts';

/** Probes the steady state from now on, and waits for what its samples show. */
export class Watch {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #probing: Probing;
  #onSample: (sample: Sample) => void = () => {};

  /** @param options.signal ends every wait and every probe. */
  constructor(options: Omit<ProbingOptions, 'onSample'>) {
    this.#clock = options.clock;
    this.#signal = options.signal;
    this.#probing = startProbing({ ...options, onSample: (sample) => this.#onSample(sample) });
  }

  get samples(): readonly Sample[] {
    return this.#probing.samples;
  }

  /** Returns the samples whose probe started from `fromMs` to before `toMs`. */
  between(fromMs: number, toMs: number = Number.POSITIVE_INFINITY): readonly Sample[] {
    return this.samples.filter(({ startedMs }) => startedMs >= fromMs && startedMs < toMs);
  }

  /** Waits until `holds` returns true for a sample, at most `limitMs`; returns whether it did. @throws what `holds` throws */
  async until(limitMs: number, holds: (sample: Sample) => boolean): Promise<boolean> {
    const reached = new AbortController();
    let failure: { readonly error: unknown } | undefined;
    this.#onSample = (sample) => {
      try {
        if (holds(sample)) reached.abort();
      } catch (error) {
        failure ??= { error };
        reached.abort();
      }
    };
    const limit = AbortSignal.any([reached.signal, this.#signal]);
    await sleep(this.#clock, limitMs, limit).catch(() => this.#signal.throwIfAborted());
    this.#onSample = () => {};
    if (failure !== undefined) throw failure.error;
    return reached.signal.aborted;
  }

  /** Resolves when every probe in progress has ended. */
  stop(): Promise<void> {
    return this.#probing.stop();
  }
}
