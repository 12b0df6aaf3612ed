import type { Publication, PublishReceipt, PublishedJob, QueueBackend } from './backend.ts';
import { BackendError } from './errors.ts';

/** Handles one poison job; the jobs behind it are sent after that. */
type OnPoison = (job: PublishedJob, reason: string) => Promise<void> | void;

/**
 * Publishes jobs of one topic. Poison jobs, which the store rejects individually, go to `onPoison` and do not
 * block the others.
 * @returns the receipt for the other jobs.
 * @throws BackendError; publishing the same jobs again is harmless then.
 */
export async function publishIsolatingPoison(
  backend: QueueBackend,
  publication: Publication,
  onPoison: OnPoison,
): Promise<PublishReceipt> {
  const first = await backend.publish(publication);
  let { poison, refused, alreadyApplied } = first;
  if (poison === undefined) return first;
  const duplicates = [...first.duplicates];
  let left = publication.jobs;
  while (poison !== undefined) {
    const { sequence, reason } = poison;
    const at = left.findIndex((job) => job.sequence === sequence);
    const job = left[at];
    if (job === undefined) {
      throw new BackendError('denied', `the store rejected job ${sequence}, which was not sent`);
    }
    await onPoison(job, reason);
    left = left.slice(at + 1);
    if (left.length === 0) break;
    const next = await backend.publish({ ...publication, jobs: left });
    alreadyApplied += next.alreadyApplied;
    duplicates.push(...next.duplicates);
    ({ poison, refused } = next);
  }
  return { remembered: first.remembered, alreadyApplied, duplicates, refused };
}
