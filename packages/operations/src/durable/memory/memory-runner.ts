import {
  type Clock,
  type Timer,
  abortable,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { Durable, DurableRunner, RunFunctions, RunSummary } from '../durable.ts';
import {
  RunCancelledError,
  RunFailedError,
  RunInterruptedError,
  RunnerClosedError,
  UnknownRunFunctionError,
} from '../errors.ts';
import { parseListFilter } from '../list-filter.ts';
import { toStoredError } from '../stored-error.ts';
import { toStored } from '../stored-value.ts';
import { MemoryContext } from './memory-context.ts';
import { type Claim, MemoryRunStore, type RunOutcome } from './run-store.ts';

/** Options of {@link createMemoryRunner}. All times in milliseconds. */
export interface MemoryRunnerOptions<Functions extends RunFunctions> {
  /** The functions that it runs, by name. */
  functions: Functions;
  /** What it shares with other runners. Default: a store of its own. */
  store?: MemoryRunStore;
  /** How long after its last sign of life its runs are taken over. Default 10 000. */
  leaseMs?: number;
  /** How long a run may make no progress before it is taken from its process. Default 900 000. */
  progressTimeoutMs?: number;
  /** How many runs it executes at a time. Default 100. */
  maxConcurrent?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** A runner in memory, with what happens to processes. */
export interface MemoryRunner<Functions extends RunFunctions> extends DurableRunner<Functions> {
  /** What it shares with other runners. */
  readonly store: MemoryRunStore;
  /** As SIGKILL: nothing is given back, nothing more is stored; another takes over when the lease ends. */
  kill(): void;
  /** As a process that is too busy to give a sign of life: its steps go on, its leases end. */
  stall(): void;
  /** Ends the stall. It finds out what it has lost. */
  resume(): void;
}

const DAY_MS = 86_400_000;
const MAX_CONCURRENT = 100_000;
/** The signs of life in each lease. */
const BEATS_PER_LEASE = 4;

const schema = {
  functions: objectWith<RunFunctions>([]),
  store: optional(objectWith<MemoryRunStore>(['claim'])),
  leaseMs: integer({ min: 10, max: DAY_MS, default: 10_000 }),
  progressTimeoutMs: integer({ min: 10, max: DAY_MS, default: 900_000 }),
  maxConcurrent: integer({ min: 1, max: MAX_CONCURRENT, default: 100 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * A runner for tests, and for runs that may end with the process. Runners on one store take over from each other.
 *
 * @throws InvalidOptionError
 */
export function createMemoryRunner<Functions extends RunFunctions>(
  options: MemoryRunnerOptions<Functions>,
): MemoryRunner<Functions> {
  const { store, ...resolved } = parseOptions('createMemoryRunner', schema, options);
  return new InMemoryRunner<Functions>({ ...resolved, store: store ?? new MemoryRunStore() });
}

type Resolved = Required<MemoryRunnerOptions<RunFunctions>>;

class InMemoryRunner<Functions extends RunFunctions> implements MemoryRunner<Functions> {
  readonly store: MemoryRunStore;
  readonly #options: Resolved;
  readonly #names: ReadonlySet<string>;
  readonly #executions = new Map<string, { claim: Claim; context: MemoryContext }>();
  readonly #closed = new AbortController();
  readonly #unwatch: () => void;
  #isStalled = false;
  #beat: Timer | undefined;

  constructor(options: Resolved) {
    this.#options = options;
    this.store = options.store;
    this.#names = new Set(Object.keys(options.functions));
    this.#unwatch = this.store.watch(() => this.#look());
    this.#tick();
  }

  async start(
    name: string,
    input: Durable,
    options: { readonly runId: string; readonly signal?: AbortSignal },
  ): Promise<void> {
    this.#assertOpen(options.signal);
    if (!this.#names.has(name)) throw new UnknownRunFunctionError(name, [...this.#names]);
    const stored = toStored('the input of a run', input);
    this.store.start(options.runId, name, stored, this.#options.clock.epochMs());
  }

  async result(runId: string, options?: { readonly signal?: AbortSignal }): Promise<Durable> {
    this.#assertOpen(options?.signal);
    const given = options?.signal === undefined ? [] : [options.signal];
    const signal = AbortSignal.any([this.#closed.signal, ...given]);
    let unwatch = (): void => {};
    try {
      const ended = new Promise<RunOutcome>((resolve) => {
        const look = (): void => {
          const outcome = this.store.outcome(runId);
          if (outcome !== undefined) resolve(outcome);
        };
        unwatch = this.store.watch(look);
        look();
      });
      const outcome = await abortable(ended, signal);
      if (outcome.state === 'failed') throw new RunFailedError(runId, outcome.failure);
      if (outcome.state === 'cancelled') throw new RunCancelledError(runId);
      return outcome.output;
    } finally {
      unwatch();
    }
  }

  async send(
    runId: string,
    topic: string,
    message: Durable,
    options?: { readonly signal?: AbortSignal },
  ): Promise<void> {
    this.#assertOpen(options?.signal);
    this.store.send(runId, topic, toStored('a message', message));
  }

  async cancel(runId: string, options?: { readonly signal?: AbortSignal }): Promise<boolean> {
    this.#assertOpen(options?.signal);
    return this.store.cancel(runId, this.#options.clock.epochMs());
  }

  async list(filter?: Parameters<DurableRunner['list']>[0]): Promise<readonly RunSummary[]> {
    this.#assertOpen(filter?.signal);
    const { name, state, limit } = parseListFilter(filter);
    return this.store
      .list()
      .filter((run) => name === undefined || run.name === name)
      .filter((run) => state === undefined || run.state === state)
      .slice(0, limit);
  }

  kill(): void {
    this.#end('the process was killed');
  }

  stall(): void {
    this.#isStalled = true;
  }

  resume(): void {
    this.#isStalled = false;
    this.#beatNow();
  }

  async close(): Promise<void> {
    const claims = [...this.#executions.values()].map(({ claim }) => claim);
    this.#end('the runner closes');
    for (const claim of claims) this.store.release(claim);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #end(reason: string): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new RunnerClosedError());
    this.#beat?.cancel();
    this.#unwatch();
    for (const { claim, context } of this.#executions.values()) {
      context.interrupt(new RunInterruptedError(claim.runId, reason));
    }
    this.#executions.clear();
  }

  #assertOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    this.#closed.signal.throwIfAborted();
  }

  #tick(): void {
    const { clock, leaseMs } = this.#options;
    this.#beatNow();
    const delayMs = leaseMs / BEATS_PER_LEASE;
    this.#beat = clock.schedule(delayMs, () => this.#tick(), { holdsProcess: false });
  }

  #beatNow(): void {
    if (this.#isStalled) return;
    const { clock, leaseMs, progressTimeoutMs } = this.#options;
    for (const [runId, { claim, context }] of this.#executions) {
      if (this.store.renew(claim, clock.epochMs(), leaseMs, progressTimeoutMs)) continue;
      this.#executions.delete(runId);
      const reason = 'its lease is lost, or it made no progress';
      context.interrupt(new RunInterruptedError(runId, reason));
    }
    this.#look();
  }

  /** Claims what is free, and aborts what was cancelled elsewhere. */
  #look(): void {
    if (this.#isStalled || this.#closed.signal.aborted) return;
    const { clock, leaseMs, maxConcurrent } = this.#options;
    for (const [runId, { context }] of this.#executions) {
      if (this.store.outcome(runId)?.state === 'cancelled') {
        context.interrupt(new RunCancelledError(runId));
      }
    }
    while (this.#executions.size < maxConcurrent) {
      const isFree = (runId: string): boolean => !this.#executions.has(runId);
      const claim = this.store.claim(this.#names, clock.epochMs(), leaseMs, isFree);
      if (claim === undefined) return;
      const context = new MemoryContext(claim, this.store, clock);
      this.#executions.set(claim.runId, { claim, context });
      void this.#execute(claim, context);
    }
  }

  async #execute(claim: Claim, context: MemoryContext): Promise<void> {
    const { runId, name, input } = claim;
    const run = this.#options.functions[name];
    let outcome: RunOutcome;
    try {
      // Not in the turn of the call that started it.
      await Promise.resolve();
      const returned: unknown = await run?.(context, input);
      outcome = { state: 'succeeded', output: toStored('the output of a run', returned) };
    } catch (error) {
      outcome = { state: 'failed', failure: toStoredError(error) };
    }
    if (this.#executions.get(runId)?.context === context) this.#executions.delete(runId);
    // What an interrupted function makes of its interruption is not the outcome of the run.
    if (!context.signal.aborted) {
      this.store.finish(claim, outcome, this.#options.clock.epochMs());
    }
    this.#look();
  }
}
