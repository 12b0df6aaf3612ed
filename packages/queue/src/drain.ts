import type { Journal } from '@holdfast/journal';
import type { Publication, PublishReceipt, PublishedJob, QueueBackend } from './backend.ts';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from './lane.ts';
import { type StoredJob, decodeJob } from './record.ts';

/**
 * Brings the oldest window of the journal to the backend, in order, and releases it.
 * @param ownPublication makes the publication of jobs that carry this process's own numbering.
 * @param onPublished hears of each step before the window is released.
 * @returns how many jobs it took; 0 when the journal is empty.
 * @throws BackendError; nothing was released then, and sending the window again is harmless.
 */
export async function drainOnce(
  { backend, journal }: { backend: QueueBackend; journal: Journal },
  ownPublication: OwnPublication,
  onPublished: (publication: Publication, receipt: PublishReceipt) => void,
): Promise<number> {
  const records = await journal.read(journal.first, {
    maxRecords: MAX_BATCH_JOBS,
    maxBytes: MAX_BATCH_CHARACTERS,
  });
  const last = records.at(-1);
  if (last === undefined) return 0;
  const jobs = records.map(({ payload }) => decodeJob(payload));
  for (const publication of publicationsOf(jobs, journal, ownPublication)) {
    onPublished(publication, await backend.publish(publication));
  }
  await journal.release(last.sequence);
  return records.length;
}

/** A publication that says what Redis has to know before these jobs. */
export type OwnPublication = (topic: string, jobs: readonly PublishedJob[]) => Publication;

/** One publication per topic and origin, each in the journal's order. */
function publicationsOf(
  jobs: readonly StoredJob[],
  { id, epoch }: Journal,
  ownPublication: OwnPublication,
): Publication[] {
  const groups = new Map<string, StoredJob[]>();
  for (const job of jobs) {
    const key = `${job.originEpoch} ${job.topic}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [job]);
    else group.push(job);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    if (first.originEpoch === epoch) return ownPublication(first.topic, group);
    return {
      topic: first.topic,
      producer: id,
      ownerEpoch: epoch,
      originEpoch: first.originEpoch,
      floor: first.sequence - 1,
      previous: 0,
      jobs: group,
    };
  });
}
