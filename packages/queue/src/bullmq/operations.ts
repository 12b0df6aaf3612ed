import type { Job, Queue } from 'bullmq';
import type {
  Publication,
  PublishReceipt,
  PublishedJob,
  RemovalPosition,
  RemovalStep,
} from '../backend.ts';
import type { OperationOutcome } from '../control/control.ts';
import { targetOf } from '../control/operation.ts';
import type { JobData } from './job-data.ts';

/** The most jobs that one step looks at or removes. */
const STEP = 200;

const REMOVED = ['delayed', 'wait', 'prioritized'] as const;
const FOUND = ['delayed', 'waiting', 'prioritized', 'active'] as const;

/** Publishes jobs and applies operations in their order; what is sent again is applied again. */
export async function publishWithOperations(
  publication: Publication,
  publish: (part: Publication) => Promise<PublishReceipt>,
  apply: (operation: PublishedJob) => Promise<OperationOutcome | undefined>,
): Promise<PublishReceipt> {
  const outcomes = new Map<number, OperationOutcome>();
  let jobs: PublishedJob[] = [];
  let done = 0;
  for (const job of publication.jobs) {
    done += 1;
    if (job.operation === undefined) {
      jobs.push(job);
      continue;
    }
    const receipt = await publish({ ...publication, jobs });
    if (receipt.poison !== undefined) return { ...receipt, outcomes };
    const behind = publication.jobs.length - done + 1;
    if (receipt.refused > 0) return { ...receipt, outcomes, refused: receipt.refused + behind };
    jobs = [];
    const outcome = await apply(job);
    if (outcome === undefined) {
      const state = job.operation === 'cancel' ? 'that a consumer holds' : 'that waits';
      const reason = `BullMQ cannot ${job.operation} a job ${state}`;
      return { ...receipt, outcomes, poison: { sequence: job.sequence, reason } };
    }
    outcomes.set(job.sequence, outcome);
  }
  return { ...(await publish({ ...publication, jobs })), outcomes };
}

/** @returns `undefined` where BullMQ cannot: it neither cancels a job that a consumer holds, nor delays one that waits. */
export async function applyOperation(
  queue: Queue<JobData>,
  operation: PublishedJob,
): Promise<OperationOutcome | undefined> {
  const isPausing = operation.operation === 'pause';
  if (isPausing || operation.operation === 'resume') {
    const wasPaused = await queue.isPaused();
    if (isPausing) await queue.pause();
    else await queue.resume();
    if (isPausing) return wasPaused ? 'already-paused' : 'paused';
    return wasPaused ? 'resumed' : 'not-paused';
  }
  const job = await find(queue, targetOf(operation));
  return job === undefined ? 'not-found' : operateOn(job, operation);
}

async function operateOn(
  job: Job<JobData>,
  { operation, delayMs = 0 }: PublishedJob,
): Promise<OperationOutcome | undefined> {
  const isDelayed = await job.isDelayed();
  if (await job.isActive()) return operation === 'cancel' ? undefined : 'running';
  if (operation === 'cancel') {
    await job.remove();
    return 'removed';
  }
  if (operation === 'promote') {
    if (!isDelayed) return 'waiting';
    await job.promote();
    return 'promoted';
  }
  // BullMQ cannot delay a job that waits.
  if (!isDelayed) return undefined;
  await job.changeDelay(Math.max(0, Math.round(delayMs)));
  return 'rescheduled';
}

/** BullMQ's ids are those of the producer's sequence; ours is in the data of the job. */
async function find(queue: Queue<JobData>, id: string): Promise<Job<JobData> | undefined> {
  for (const kind of FOUND) {
    let from = 0;
    while (true) {
      const jobs: Job<JobData>[] = await queue.getJobs([kind], from, from + STEP - 1, true);
      const found = jobs.find(({ data }) => data.id === id);
      if (found !== undefined) return found;
      if (jobs.length < STEP) break;
      from += STEP;
    }
  }
  return undefined;
}

/** One step of a removal; its position is the kind of jobs to go on with. */
export async function removeStep(
  queue: Queue<JobData>,
  delayed: boolean,
  [kind = delayed ? 0 : 1]: RemovalPosition = [],
): Promise<RemovalStep> {
  const at = Number(kind);
  const name = REMOVED[at];
  if (name === undefined) return { removed: 0 };
  const { length: removed } = await queue.clean(0, STEP, name);
  const next = removed < STEP ? at + 1 : at;
  return { removed, ...(next < REMOVED.length && { next: [next] }) };
}
