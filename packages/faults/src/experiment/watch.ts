import { type Clock, sleep } from '@holdfast/foundation';
import { type Probing, type ProbingOptions, startProbing } from './probing.ts';
import type { Sample } from './samples.ts';

/** Probes the steady state from now on, and waits for what its samples show. */
export class Watch {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #probing: Probing;
  readonly #intervalMs: number;
  #onSample: (sample: Sample) => void = () => {};

  /** @param options.signal ends every wait and every probe. */
  constructor(options: Omit<ProbingOptions, 'onSample'>) {
    this.#clock = options.clock;
    this.#signal = options.signal;
    this.#intervalMs = options.intervalMs;
    this.#probing = startProbing({ ...options, onSample: (sample) => this.#onSample(sample) });
  }

  /** Returns the probes whose result is known, in order of their start. */
  known(): readonly Sample[] {
    return this.#probing.known();
  }

  /** Returns the probe of this number, or undefined while its result is not known. */
  at(index: number): Sample | undefined {
    return this.#probing.at(index);
  }

  /**
   * Waits until `holds` returns or resolves with true for a sample, at most `limitMs`; returns whether it did.
   * @throws what `holds` throws
   */
  async until(
    limitMs: number,
    holds: (sample: Sample) => boolean | PromiseLike<boolean>,
  ): Promise<boolean> {
    const reached = new AbortController();
    let failure: { readonly error: unknown } | undefined;
    const fail = (error: unknown): void => {
      failure ??= { error };
      reached.abort();
    };
    const settle = (held: boolean): void => {
      if (held) reached.abort();
    };
    this.#onSample = (sample) => {
      try {
        const held = holds(sample);
        if (typeof held === 'boolean') settle(held);
        else void Promise.resolve(held).then(settle, fail);
      } catch (error) {
        fail(error);
      }
    };
    const limit = AbortSignal.any([reached.signal, this.#signal]);
    await sleep(this.#clock, limitMs, limit).catch(() => this.#signal.throwIfAborted());
    this.#onSample = () => {};
    if (failure !== undefined) throw failure.error;
    return reached.signal.aborted;
  }

  /** Waits for one interval of the probes. @throws the signal's reason */
  interval(): Promise<void> {
    return sleep(this.#clock, this.#intervalMs, this.#signal);
  }

  /** Resolves when every probe in progress has ended. */
  stop(): Promise<void> {
    return this.#probing.stop();
  }
}
