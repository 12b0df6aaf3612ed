import type { Clock, Emitter } from '@holdfast/foundation';
import type { PublishReceipt, PublishedJob } from '../backend.ts';
import { isOnJob, targetOf } from '../control/operation.ts';
import type { QueueEvents } from './queue-events.ts';

/** Emits `operation-applied` for each operation among the jobs that the store has taken. */
export function reportOperations(
  { events, clock }: { readonly events: Emitter<QueueEvents>; readonly clock: Clock },
  topic: string,
  jobs: readonly PublishedJob[],
  outcomes: PublishReceipt['outcomes'],
): void {
  for (const job of jobs) {
    const { operation, sequence, id: operationId } = job;
    if (operation === undefined) continue;
    events.emit('operation-applied', {
      topic,
      operation,
      operationId,
      ...(isOnJob(operation) && { jobId: targetOf(job) }),
      outcome: outcomes?.get(sequence) ?? 'unknown',
      atMs: clock.now(),
    });
  }
}
