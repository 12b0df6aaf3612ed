import { DBOS, DBOSWorkflowConflictError } from '@dbos-inc/dbos-sdk';
import { type Clock, type Timer, callSafely, sleep } from '@holdfast/foundation';
import type { Durable, RunFunctions } from '../durable.ts';
import { RunInterruptedError } from '../errors.ts';
import { toStored } from '../stored-value.ts';
import { DbosContext } from './dbos-context.ts';
import type { RunLeases } from './run-leases.ts';

/** What the executions of a process share. */
interface ExecutionDeps {
  readonly leases: RunLeases;
  readonly functions: RunFunctions;
  readonly queueName: string;
  readonly leaseMs: number;
  readonly progressTimeoutMs: number;
  readonly pollMs: number;
  readonly clock: Clock;
}

const BEATS_PER_LEASE = 4;
const MAX_RECLAIMED = 100;
const ENDED = new Set(['SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED']);

/**
 * What this process executes, and the duties that DBOS leaves to others: a lease on each run, renewed while the run
 * makes progress; and a reaper that resumes the runs of processes that renew theirs no longer.
 */
export class Executions {
  readonly #deps: ExecutionDeps;
  readonly #contexts = new Map<string, DbosContext>();
  readonly #closed = new AbortController();
  #timers: Timer[] = [];
  #renewedAtMs: number;

  constructor(deps: ExecutionDeps) {
    this.#deps = deps;
    this.#renewedAtMs = deps.clock.now();
  }

  /** Begins to renew leases and to look for runs that lapsed. */
  begin(): void {
    const { leaseMs, pollMs } = this.#deps;
    this.#repeat(leaseMs / BEATS_PER_LEASE, async () => this.#renew());
    this.#repeat(pollMs, async () => this.#reap());
  }

  /** Executes a run that DBOS has dispatched to this process. */
  async execute(name: string, input: Durable): Promise<Durable> {
    const runId = DBOS.workflowID ?? '';
    const context = await this.#claim(runId);
    this.#contexts.set(runId, context);
    try {
      const returned: unknown = await this.#deps.functions[name]?.(context, input);
      // A function that has swallowed its interruption has not ended the run.
      if (context.signal.aborted) throw context.signal.reason;
      return toStored('the output of a run', returned);
    } catch (error) {
      if (this.#closed.signal.aborted) return await never();
      if (context.signal.aborted) throw new DBOSWorkflowConflictError(runId);
      throw error;
    } finally {
      if (this.#contexts.get(runId) === context) this.#contexts.delete(runId);
    }
  }

  /** Interrupts what runs here, such as a run that was cancelled. */
  interrupt(runId: string, reason: Error): void {
    this.#contexts.get(runId)?.interrupt(reason);
  }

  /** Interrupts all that runs here; nothing of it is stored. */
  end(): void {
    this.#closed.abort();
    for (const timer of this.#timers) timer.cancel();
    this.#interruptAll('the runner closes');
  }

  async #claim(runId: string): Promise<DbosContext> {
    const { leases, clock, pollMs } = this.#deps;
    while (!this.#closed.signal.aborted) {
      const lease = await leases.claim(runId);
      if (lease !== undefined) return new DbosContext(lease, leases, clock, pollMs);
      // Somebody has resumed it by hand while its holder lives, or it was cancelled meanwhile.
      const status = await DBOS.getWorkflowStatus(runId);
      if (status === null || ENDED.has(status.status)) throw new DBOSWorkflowConflictError(runId);
      await sleep(clock, pollMs, this.#closed.signal).catch(() => undefined);
    }
    return never();
  }

  async #renew(): Promise<void> {
    const { leases, clock, leaseMs, progressTimeoutMs } = this.#deps;
    const held = [...this.#contexts.values()];
    const sentAtMs = clock.now();
    try {
      const renewed = await leases.renew(
        held.map(({ lease }) => lease),
        progressTimeoutMs,
      );
      this.#renewedAtMs = sentAtMs;
      for (const context of held) {
        if (renewed.has(context.runId)) continue;
        if (this.#contexts.get(context.runId) !== context) continue;
        const reason = 'its lease is lost, or it made no progress';
        context.interrupt(new RunInterruptedError(context.runId, reason));
      }
    } finally {
      // Without an answer of the table for a lease, others may have taken all of it.
      if (clock.now() - this.#renewedAtMs > leaseMs)
        this.#interruptAll('its lease was not renewed');
    }
  }

  /** Resumes the runs of processes that died, that gave them back, or whose runs made no progress. */
  async #reap(): Promise<void> {
    const { leases, queueName } = this.#deps;
    const lapsed = await leases.lapsed(MAX_RECLAIMED);
    if (lapsed.length === 0) return;
    const known = await DBOS.listWorkflows({ workflowIDs: lapsed, limit: MAX_RECLAIMED });
    const pending = known.filter(({ status }) => status === 'PENDING');
    const ended = known.filter(({ status }) => ENDED.has(status));
    const idsOf = (found: typeof known): string[] => found.map(({ workflowID }) => workflowID);
    await leases.retire(idsOf(ended));
    const taken = await leases.reclaim(idsOf(pending));
    if (taken.length > 0) await DBOS.resumeWorkflows(taken, { queueName });
    // What waits in the queue, and what is being stored.
    await leases.postpone(lapsed);
  }

  #interruptAll(reason: string): void {
    for (const context of this.#contexts.values()) {
      context.interrupt(new RunInterruptedError(context.runId, reason));
    }
  }

  /** Repeats a duty whose failure, such as that of the database, the next one makes good. */
  #repeat(everyMs: number, duty: () => Promise<void>): void {
    const again = (): void => {
      if (this.#closed.signal.aborted) return;
      const timer = this.#deps.clock.schedule(
        everyMs,
        () => {
          this.#timers = this.#timers.filter((each) => each !== timer);
          duty()
            .catch((error: unknown) => {
              if (!this.#closed.signal.aborted)
                callSafely('a duty of the runner', () => warn(error));
            })
            .finally(again);
        },
        { holdsProcess: false },
      );
      this.#timers.push(timer);
    };
    again();
  }
}

function warn(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  process.emitWarning(`durable runs: the leases were not looked after${code}; it is tried again`);
}

/** For what must not be stored: DBOS stores the outcome of whatever settles. */
async function never(): Promise<never> {
  return new Promise(() => {});
}
