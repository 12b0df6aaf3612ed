import type { Backlog } from './backlog.ts';
import type { Publication, PublishReceipt, PublishedJob, QueueBackend } from './backend.ts';
import type { StoredJob } from './record.ts';

/**
 * Brings the oldest window of the backlog to the backend, in order.
 * @param ownPublication makes the publication of jobs that carry this process's own numbering.
 * @param onPublished hears of each step before the window counts as taken.
 * @returns how many jobs it took; 0 when nothing waits.
 * @throws BackendError; nothing counts as taken then, and sending the window again is harmless.
 */
export async function drainOnce(
  { backend, backlog }: { backend: QueueBackend; backlog: Backlog },
  ownPublication: OwnPublication,
  onPublished: (publication: Publication, receipt: PublishReceipt) => void,
): Promise<number> {
  const { jobs, through } = await backlog.window();
  for (const publication of publicationsOf(jobs, backlog, ownPublication)) {
    onPublished(publication, await backend.publish(publication));
  }
  // Without jobs it is damaged, and was reported when the journal was opened.
  await backlog.taken(through);
  return jobs.length;
}

/**
 * Sends what an earlier owner of the journal had written, and Redis has taken lately, once more: Redis may
 * have forgotten it, and this process would not know. Comes before anything of its own.
 */
export async function repeatInherited(
  { backend, backlog }: { backend: QueueBackend; backlog: Backlog },
  ownPublication: OwnPublication,
): Promise<void> {
  for await (const { jobs } of backlog.inherited()) {
    for (const publication of publicationsOf(jobs, backlog, ownPublication)) {
      await backend.publish(publication);
    }
  }
}

/** A publication that says what Redis has to know before these jobs. */
export type OwnPublication = (topic: string, jobs: readonly PublishedJob[]) => Publication;

/** One publication per topic and origin, each in the journal's order. */
function publicationsOf(
  jobs: readonly StoredJob[],
  { id, epoch }: Backlog,
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
