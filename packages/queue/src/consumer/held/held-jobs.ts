import { JobCancelledError } from '../../errors.ts';
import type { Acknowledger } from '../acknowledger.ts';
import type { JobExecution } from '../job-execution.ts';
import type { JobMemory } from '../job-memory.ts';
import type { Prefetch } from '../prefetch.ts';
import type { WaitingJobs } from '../waiting-jobs.ts';

interface HeldJobsDeps {
  readonly topic: string;
  readonly memory: JobMemory;
  readonly running: ReadonlyMap<string, JobExecution>;
  readonly prefetch: Prefetch;
  readonly waiting: WaitingJobs;
  readonly acknowledger: Acknowledger;
}

/** All jobs that a consumer holds, whatever they wait for. */
export class HeldJobs {
  readonly #deps: HeldJobsDeps;

  constructor(deps: HeldJobsDeps) {
    this.#deps = deps;
  }

  handles(): string[] {
    const { running, prefetch, waiting, acknowledger } = this.#deps;
    return [
      ...running.keys(),
      ...prefetch.handles(),
      ...waiting.handles(),
      ...acknowledger.handles(),
    ];
  }

  /** Drops jobs whose leases went to other consumers, and those that others have handled; they may still run here. */
  drop(lost: readonly string[], gone: readonly string[]): void {
    const { topic, running, prefetch, waiting, acknowledger, memory } = this.#deps;
    const reason = new Error(`${topic}: the lease went to another consumer`);
    for (const handle of lost) running.get(handle)?.abort(reason);
    prefetch.drop([...lost, ...gone]);
    for (const handle of [...lost, ...gone]) {
      acknowledger.drop(handle);
      const left = waiting.drop(handle);
      if (left !== undefined) memory.end(left);
    }
  }

  /** Aborts and removes jobs that were cancelled; a handler that runs keeps its job, and its slot, until it ends. */
  cancel(cancelled: readonly string[]): void {
    const { topic, running, prefetch, waiting, acknowledger } = this.#deps;
    for (const handle of cancelled) {
      running.get(handle)?.cancel(new JobCancelledError(topic));
      const left = prefetch.take(handle) ?? waiting.drop(handle);
      if (left !== undefined) acknowledger.acknowledge(left);
    }
  }
}
