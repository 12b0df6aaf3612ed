import { publishIsolatingPoison } from '../publish.ts';
import type { Backlog } from '../fallback/backlog.ts';
import type { Publication, PublishReceipt, PublishedJob, QueueBackend } from '../backend.ts';
import type { TopicOptions } from '../options.ts';
import type { PoisonStore } from '../fallback/poison-store.ts';
import type { StoredJob } from '../fallback/record.ts';

export interface DrainParts {
  readonly backend: QueueBackend;
  readonly backlog: Backlog;
  readonly poison: PoisonStore;
  readonly topics: ReadonlyMap<string, TopicOptions>;
  /** Hears of a job once it is kept aside. */
  readonly onPoison: (topic: string, id: string, reason: string) => void;
}

/**
 * Brings the oldest window of the backlog to the backend, in order.
 * @param ownPublication makes the publication of jobs that carry this process's own numbering.
 * @param onPublished hears of each step before the window counts as taken.
 * @returns how many jobs it took; 0 when nothing waits.
 * @throws BackendError; nothing counts as taken then, and sending the window again is harmless.
 */
export async function drainOnce(
  parts: DrainParts,
  ownPublication: OwnPublication,
  onPublished: (publication: Publication, receipt: PublishReceipt) => void,
): Promise<number> {
  const { backlog } = parts;
  const { jobs, through } = await backlog.window();
  for (const publication of publicationsOf(jobs, parts, ownPublication)) {
    const { sound, receipt } = await publishKeeping(parts, publication);
    onPublished(sound, receipt);
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
  parts: DrainParts,
  ownPublication: OwnPublication,
): Promise<void> {
  for await (const { jobs } of parts.backlog.inherited()) {
    for (const publication of publicationsOf(jobs, parts, ownPublication)) {
      await publishKeeping(parts, publication);
    }
  }
}

/**
 * Publishes jobs that were accepted before: one that the store refuses for what it is is kept aside.
 * @returns what was published of it, and what became of that.
 * @throws BackendError; what the journal throws that keeps it
 */
export async function publishKeeping(
  { backend, poison, onPoison }: DrainParts,
  publication: Publication,
): Promise<{ sound: Publication; receipt: PublishReceipt }> {
  const { topic, originEpoch } = publication;
  const kept = new Set<PublishedJob>();
  const receipt = await publishIsolatingPoison(backend, publication, async (job, reason) => {
    await poison.add({ ...job, topic, originEpoch, reason });
    kept.add(job);
    onPoison(topic, job.id, reason);
  });
  if (kept.size === 0) return { sound: publication, receipt };
  const jobs = publication.jobs.filter((job) => !kept.has(job));
  return { sound: { ...publication, jobs }, receipt };
}

/** A publication that says what Redis has to know before these jobs. */
export type OwnPublication = (topic: string, jobs: readonly PublishedJob[]) => Publication;

/** One publication per topic and origin, each in the journal's order. */
function publicationsOf(
  jobs: readonly StoredJob[],
  { backlog: { id, epoch }, poison, topics }: DrainParts,
  ownPublication: OwnPublication,
): Publication[] {
  const groups = new Map<string, StoredJob[]>();
  for (const job of jobs) {
    if (poison.has(job)) continue;
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
      partitions: topics.get(first.topic)?.partitions,
      jobs: group,
    };
  });
}
