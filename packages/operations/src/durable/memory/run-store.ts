import { isDeepStrictEqual } from 'node:util';
import type { Durable, RunState, RunSummary } from '../durable.ts';
import { RunConflictError, UnknownRunError } from '../errors.ts';
import type { StoredError } from '../stored-error.ts';

/** What a run remembers of one step, sleep or receive, by its name. */
export type JournalEntry =
  | { readonly kind: 'value'; readonly value: Durable }
  | { readonly kind: 'error'; readonly error: StoredError }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'until'; readonly untilMs: number };

/** How a run ended. */
export type RunOutcome =
  | { readonly state: 'succeeded'; readonly output: Durable }
  | { readonly state: 'failed'; readonly failure: StoredError }
  | { readonly state: 'cancelled' };

interface StoredRun {
  readonly runId: string;
  readonly name: string;
  readonly input: Durable;
  readonly createdAtMs: number;
  readonly journal: Map<string, JournalEntry>;
  readonly messages: Map<string, Durable[]>;
  progressAtMs: number;
  /** It need not make progress until then: it sleeps or waits for a message. */
  waitsUntilMs: number;
  step: string | undefined;
  fence: bigint;
  leaseUntilMs: number;
  outcome: RunOutcome | undefined;
}

/** A run that a runner may execute as long as nobody has a higher fence. */
export interface Claim {
  readonly runId: string;
  readonly name: string;
  readonly input: Durable;
  readonly fence: bigint;
}

/**
 * Runs in memory. Runners that share a store are like processes that share a database: each write of an execution
 * names its fence, and is refused once another has claimed the run.
 */
export class MemoryRunStore {
  readonly #runs = new Map<string, StoredRun>();
  readonly #listeners = new Set<() => void>();

  /** Calls the listener after each change; returns what removes it. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  start(runId: string, name: string, input: Durable, nowMs: number): void {
    const known = this.#runs.get(runId);
    if (known !== undefined) {
      if (known.name !== name) throw new RunConflictError(runId, 'function');
      if (!isDeepStrictEqual(known.input, input)) throw new RunConflictError(runId, 'input');
      return;
    }
    this.#runs.set(runId, {
      runId,
      name,
      input,
      createdAtMs: nowMs,
      journal: new Map(),
      messages: new Map(),
      progressAtMs: nowMs,
      waitsUntilMs: 0,
      step: undefined,
      fence: 0n,
      leaseUntilMs: 0,
      outcome: undefined,
    });
    this.#notify();
  }

  /** Takes a run that is not finished and that nobody has a lease on. */
  claim(
    names: ReadonlySet<string>,
    nowMs: number,
    leaseMs: number,
    isFree: (runId: string) => boolean,
  ): Claim | undefined {
    for (const run of this.#runs.values()) {
      const { runId, name, input } = run;
      if (run.outcome !== undefined || run.leaseUntilMs > nowMs) continue;
      if (!names.has(name) || !isFree(runId)) continue;
      run.fence += 1n;
      run.leaseUntilMs = nowMs + leaseMs;
      run.progressAtMs = nowMs;
      run.waitsUntilMs = 0;
      return { runId, name, input, fence: run.fence };
    }
    return undefined;
  }

  /** Whether the claim still holds; then its lease begins anew, unless the run makes no progress. */
  renew(claim: Claim, nowMs: number, leaseMs: number, progressTimeoutMs: number): boolean {
    const run = this.#held(claim);
    if (run === undefined) return false;
    if (Math.max(run.progressAtMs, run.waitsUntilMs) + progressTimeoutMs <= nowMs) return false;
    run.leaseUntilMs = nowMs + leaseMs;
    return true;
  }

  /** Gives a run back, for others to take at once. */
  release(claim: Claim): void {
    const run = this.#held(claim);
    if (run === undefined) return;
    run.leaseUntilMs = 0;
    this.#notify();
  }

  entry(runId: string, key: string): JournalEntry | undefined {
    return this.#run(runId).journal.get(key);
  }

  /** Whether it was written: not by an execution with a lower fence, nor after the end. */
  write(claim: Claim, key: string, entry: JournalEntry, nowMs: number): boolean {
    const run = this.#held(claim);
    if (run === undefined) return false;
    run.journal.set(key, entry);
    run.progressAtMs = nowMs;
    run.step = undefined;
    run.waitsUntilMs = entry.kind === 'until' ? entry.untilMs : 0;
    return true;
  }

  begin(claim: Claim, step: string): void {
    const run = this.#held(claim);
    if (run !== undefined) run.step = step;
  }

  /** Takes the oldest message of the topic, and remembers it under the key in the same moment. */
  take(claim: Claim, topic: string, key: string, nowMs: number): JournalEntry | undefined {
    const message = this.#held(claim)?.messages.get(topic)?.shift();
    if (message === undefined) return undefined;
    const entry: JournalEntry = { kind: 'value', value: message };
    this.write(claim, key, entry, nowMs);
    return entry;
  }

  send(runId: string, topic: string, message: Durable): void {
    const { messages } = this.#run(runId);
    messages.set(topic, [...(messages.get(topic) ?? []), message]);
    this.#notify();
  }

  finish(claim: Claim, outcome: RunOutcome, nowMs: number): boolean {
    const run = this.#held(claim);
    if (run === undefined) return false;
    run.outcome = outcome;
    run.progressAtMs = nowMs;
    this.#notify();
    return true;
  }

  cancel(runId: string, nowMs: number): boolean {
    const run = this.#run(runId);
    if (run.outcome !== undefined) return false;
    run.outcome = { state: 'cancelled' };
    run.progressAtMs = nowMs;
    this.#notify();
    return true;
  }

  outcome(runId: string): RunOutcome | undefined {
    return this.#run(runId).outcome;
  }

  list(): RunSummary[] {
    return [...this.#runs.values()].map(summaryOf).toReversed();
  }

  #run(runId: string): StoredRun {
    const run = this.#runs.get(runId);
    if (run === undefined) throw new UnknownRunError(runId);
    return run;
  }

  #held({ runId, fence }: Claim): StoredRun | undefined {
    const run = this.#run(runId);
    return run.fence === fence && run.outcome === undefined ? run : undefined;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function summaryOf(run: StoredRun): RunSummary {
  const { runId, name, createdAtMs, progressAtMs } = run;
  return { runId, name, createdAtMs, progressAtMs, ...stateOf(run) };
}

function stateOf({ outcome, fence, step }: StoredRun): RunState {
  if (outcome?.state === 'failed') return { state: 'failed', error: outcome.failure.message };
  if (outcome !== undefined) return outcome;
  return fence === 0n ? { state: 'pending' } : { state: 'running', step, fence };
}
