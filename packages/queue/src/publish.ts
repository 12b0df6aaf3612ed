import type { Publication, PublishReceipt, PublishedJob, QueueBackend } from './backend.ts';
import { BackendError } from './errors.ts';

/** Takes over a job the store refuses for what it is; nothing behind it is sent before that is done. */
export type OnPoison = (job: PublishedJob, reason: string) => Promise<void> | void;

/**
 * Publishes jobs of one topic; those the store refuses for what they are go to `setApart`, and hold nobody up.
 * @returns what became of the others.
 * @throws BackendError; sending the same again is harmless then.
 */
export async function publishIsolatingPoison(
  backend: QueueBackend,
  publication: Publication,
  setApart: OnPoison,
): Promise<PublishReceipt> {
  const first = await backend.publish(publication);
  let { poison, refused, alreadyApplied } = first;
  if (poison === undefined) return first;
  const duplicates = [...first.duplicates];
  let left = publication.jobs;
  while (poison !== undefined) {
    const { sequence, reason } = poison;
    const at = left.findIndex((job) => job.sequence === sequence);
    const [job] = left.slice(at, at + 1);
    if (at < 0 || job === undefined) {
      throw new BackendError('denied', `the store refused job ${sequence}, which it was not given`);
    }
    await setApart(job, reason);
    left = left.slice(at + 1);
    if (left.length === 0) break;
    const next = await backend.publish({ ...publication, jobs: left });
    alreadyApplied += next.alreadyApplied;
    duplicates.push(...next.duplicates);
    ({ poison, refused } = next);
  }
  return { remembered: first.remembered, alreadyApplied, duplicates, refused };
}
