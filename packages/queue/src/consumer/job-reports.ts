import type { Clock, Emitter } from '@holdfast/foundation';
import type { Delivery } from '../backend.ts';
import type { Job, QueueEvents } from '../queue.ts';

interface JobReportsDeps {
  readonly topic: string;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
}

/** Counts what became of the jobs of one consumer, and reports it. */
export class JobReports {
  readonly counts = { handled: 0, failed: 0, deadLettered: 0, recovered: 0, redelivered: 0 };
  readonly #deps: JobReportsDeps;

  constructor(deps: JobReportsDeps) {
    this.#deps = deps;
  }

  recovered({ id, deliveries: attempt }: Delivery): void {
    this.counts.recovered += 1;
    this.#deps.events.emit('recovered', { ...this.#seen(id), attempt });
  }

  redelivered(id: string): void {
    this.counts.redelivered += 1;
    this.#deps.events.emit('redelivered', this.#seen(id));
  }

  timedOut({ id, attempt }: Job, timeoutMs: number): void {
    this.#deps.events.emit('timed-out', { ...this.#seen(id), attempt, timeoutMs });
  }

  deadLettered(id: string, attempts: number, reason: string): void {
    this.counts.deadLettered += 1;
    this.#deps.events.emit('dead-lettered', { ...this.#seen(id), attempts, reason });
  }

  #seen(id: string): { readonly topic: string; readonly id: string; readonly atMs: number } {
    const { topic, clock } = this.#deps;
    return { topic, id, atMs: clock.now() };
  }
}
