import { type Clock, sleep } from '@holdfast/foundation';
import { tryStep } from '../attempts.ts';
import type { Durable, DurableContext, StepContext, StepOptions } from '../durable.ts';
import { RunInterruptedError, StepConflictError, StepFailedError } from '../errors.ts';
import { toStoredError } from '../stored-error.ts';
import { toStored } from '../stored-value.ts';
import type { Claim, JournalEntry, MemoryRunStore } from './run-store.ts';

/** One execution of a run: what its function is given. */
export class MemoryContext implements DurableContext {
  readonly runId: string;
  readonly #claim: Claim;
  readonly #store: MemoryRunStore;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #names = new Set<string>();
  #receives = 0;

  constructor(claim: Claim, store: MemoryRunStore, clock: Clock) {
    this.runId = claim.runId;
    this.#claim = claim;
    this.#store = store;
    this.#clock = clock;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  interrupt(reason: Error): void {
    this.#controller.abort(reason);
  }

  async step<Value extends Durable>(
    name: string,
    run: (step: StepContext) => Promise<Value>,
    options?: StepOptions,
  ): Promise<Value>;
  async step(
    name: string,
    run: (step: StepContext) => Promise<Durable>,
    options?: StepOptions,
  ): Promise<Durable> {
    const stored = this.#reach(`step ${name}`, name);
    if (stored?.kind === 'value') return stored.value;
    if (stored?.kind === 'error') throw new StepFailedError(name, stored.error);
    this.#store.begin(this.#claim, name);
    const { runId, signal } = this;
    const trial = { clock: this.#clock, runId, name, fence: this.#claim.fence, signal, options };
    let value: Durable;
    try {
      value = toStored(`the result of the step ${name}`, await tryStep(trial, run));
    } catch (error) {
      signal.throwIfAborted();
      const failure = toStoredError(error);
      this.#write(`step ${name}`, { kind: 'error', error: failure });
      throw new StepFailedError(name, failure, { cause: error });
    }
    this.#write(`step ${name}`, { kind: 'value', value });
    return value;
  }

  async sleep(name: string, delayMs: number): Promise<void> {
    const stored = this.#reach(`sleep ${name}`, name);
    const untilMs =
      stored?.kind === 'until' ? stored.untilMs : this.#clock.epochMs() + Math.max(0, delayMs);
    this.#write(`sleep ${name}`, { kind: 'until', untilMs });
    const leftMs = untilMs - this.#clock.epochMs();
    if (leftMs > 0) await sleep(this.#clock, leftMs, this.signal);
  }

  async receive(
    topic: string,
    options: { readonly timeoutMs: number },
  ): Promise<Durable | undefined> {
    this.signal.throwIfAborted();
    this.#receives += 1;
    const key = `receive ${this.#receives} ${topic}`;
    const stored = this.#store.entry(this.runId, key);
    if (stored?.kind === 'value') return stored.value;
    if (stored?.kind === 'nothing') return undefined;
    const untilMs =
      stored?.kind === 'until' ? stored.untilMs : this.#clock.epochMs() + options.timeoutMs;
    this.#write(key, { kind: 'until', untilMs });
    const taken = await this.#waitForMessage(topic, key, untilMs);
    return taken.kind === 'value' ? taken.value : undefined;
  }

  async #waitForMessage(topic: string, key: string, untilMs: number): Promise<JournalEntry> {
    while (true) {
      this.signal.throwIfAborted();
      const nowMs = this.#clock.epochMs();
      const taken = this.#store.take(this.#claim, topic, key, nowMs);
      if (taken !== undefined) return taken;
      if (nowMs >= untilMs) break;
      await this.#changeWithin(untilMs - nowMs);
    }
    this.#write(key, { kind: 'nothing' });
    return { kind: 'nothing' };
  }

  /** Settles at the store's next change, or after that long. */
  async #changeWithin(limitMs: number): Promise<void> {
    const woken = new AbortController();
    const unwatch = this.#store.watch(() => woken.abort());
    try {
      await sleep(this.#clock, limitMs, AbortSignal.any([woken.signal, this.signal]));
    } catch {
      // It was woken, or the run is no longer ours, which the caller asks.
    } finally {
      unwatch();
    }
  }

  #reach(key: string, name: string): JournalEntry | undefined {
    this.signal.throwIfAborted();
    if (this.#names.has(name)) throw new StepConflictError(this.runId, name);
    this.#names.add(name);
    return this.#store.entry(this.runId, key);
  }

  #write(key: string, entry: JournalEntry): void {
    this.signal.throwIfAborted();
    if (this.#store.write(this.#claim, key, entry, this.#clock.epochMs())) return;
    const lost = new RunInterruptedError(this.runId, 'another process has taken it over');
    this.interrupt(lost);
    throw lost;
  }
}
