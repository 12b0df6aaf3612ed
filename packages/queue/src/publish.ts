import type { Publication, PublishReceipt, PublishedJob } from './backend.ts';
import { BackendError } from './errors.ts';
import type { ProducerIdentity } from './state/producer-identity.ts';

/** Handles one poison job; the jobs behind it are sent after that. */
type OnPoison = (job: PublishedJob, reason: string) => Promise<void> | void;

/**
 * Publishes jobs of one topic. Poison jobs, which the store rejects individually, go to `onPoison` and do not
 * block the others.
 * @returns the receipt for the other jobs.
 * @throws BackendError; publishing the same jobs again is harmless then.
 */
export async function publishIsolatingPoison(
  identity: ProducerIdentity,
  publication: Publication,
  onPoison: OnPoison,
): Promise<PublishReceipt> {
  let first: PublishReceipt;
  try {
    first = await identity.publish(publication);
  } catch (error) {
    first = await identity.publishRenewed(publication, error);
  }
  let { poison, refused, alreadyApplied } = first;
  if (poison === undefined) return first;
  const duplicates = [...first.duplicates];
  const outcomes = new Map(first.outcomes);
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
    const next = await identity.publish({ ...publication, ...identity.owner, jobs: left });
    alreadyApplied += next.alreadyApplied;
    duplicates.push(...next.duplicates);
    for (const [applied, outcome] of next.outcomes ?? []) outcomes.set(applied, outcome);
    ({ poison, refused } = next);
  }
  const { remembered } = first;
  return {
    remembered,
    alreadyApplied,
    duplicates,
    refused,
    ...(outcomes.size > 0 && { outcomes }),
  };
}
