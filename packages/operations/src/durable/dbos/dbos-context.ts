import { DBOS, DBOSWorkflowConflictError } from '@dbos-inc/dbos-sdk';
import { type Clock, abortable } from '@holdfast/foundation';
import { tryStep } from '../attempts.ts';
import type { Durable, DurableContext, StepContext, StepOptions } from '../durable.ts';
import { RunInterruptedError, StepConflictError, StepFailedError } from '../errors.ts';
import { type StoredError, toStoredError } from '../stored-error.ts';
import { toStored } from '../stored-value.ts';
import type { RunLease, RunLeases } from './run-leases.ts';

/** How a step ended, as the engine stores it. */
type StepOutcome =
  | { readonly kind: 'value'; readonly value: Durable }
  | { readonly kind: 'error'; readonly error: StoredError };

/** One execution of a run on DBOS: what its function is given. */
export class DbosContext implements DurableContext {
  readonly runId: string;
  readonly lease: RunLease;
  readonly #leases: RunLeases;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #controller = new AbortController();
  readonly #names = new Set<string>();

  constructor(lease: RunLease, leases: RunLeases, clock: Clock, pollMs: number) {
    this.runId = lease.runId;
    this.lease = lease;
    this.#leases = leases;
    this.#clock = clock;
    this.#pollMs = pollMs;
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
    this.#reach(name);
    let thrown: unknown;
    const stepped = DBOS.runStep(
      async (): Promise<StepOutcome> => {
        await this.#advance(name, 0);
        try {
          return { kind: 'value', value: await this.#try(name, run, options) };
        } catch (error) {
          // What an interruption makes of a step is not its outcome: the engine lets go of this execution.
          if (this.signal.aborted) throw new DBOSWorkflowConflictError(this.runId);
          thrown = error;
          return { kind: 'error', error: toStoredError(error) };
        }
      },
      { name },
    );
    const outcome = await abortable(stepped, this.signal);
    if (outcome.kind === 'value') return outcome.value;
    const details = thrown === undefined ? undefined : { cause: thrown };
    throw new StepFailedError(name, outcome.error, details);
  }

  async sleep(name: string, delayMs: number): Promise<void> {
    this.#reach(name);
    await this.#advance(name, delayMs);
    await abortable(DBOS.sleepms(Math.max(0, delayMs)), this.signal);
  }

  async receive(
    topic: string,
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<Durable | undefined> {
    this.signal.throwIfAborted();
    await this.#advance(`receive ${topic}`, timeoutMs);
    const options = { timeoutSeconds: timeoutMs / 1_000, pollingIntervalMs: this.#pollMs };
    const received = DBOS.recv<{ readonly message: Durable }>(topic, options);
    return (await abortable(received, this.signal))?.message;
  }

  async #try(
    name: string,
    run: (step: StepContext) => Promise<Durable>,
    options: StepOptions | undefined,
  ): Promise<Durable> {
    const { runId, signal } = this;
    const { fence } = this.lease;
    const trial = { clock: this.#clock, runId, name, fence, signal, options };
    return toStored(`the result of the step ${name}`, await tryStep(trial, run));
  }

  #reach(name: string): void {
    this.signal.throwIfAborted();
    if (this.#names.has(name)) throw new StepConflictError(this.runId, name);
    this.#names.add(name);
  }

  /** Asks the table before each effect whether this execution still holds the run. */
  async #advance(step: string, waitMs: number): Promise<void> {
    const isHeld = await this.#leases.advance(this.lease, step, waitMs);
    if (!isHeld) this.interrupt(new RunInterruptedError(this.runId, 'its lease is lost'));
    if (this.signal.aborted) throw new DBOSWorkflowConflictError(this.runId);
  }
}
