import type { QueueJob, QueueJobJson } from '@bull-board/api/typings/app';
import type { DeadJob, InspectedJob } from '../queue.ts';

/** The states that the dashboard has names for, and a topic has jobs in. */
export type ShownState = 'waiting' | 'active' | 'delayed' | 'failed' | 'completed';

/** What the buttons of a job do. */
interface JobActions {
  promote(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  retry(id: string): Promise<void>;
}

/** A job as the dashboard shows it. */
export function shownJob(
  topic: string,
  state: ShownState,
  json: QueueJobJson,
  actions: JobActions,
): QueueJob {
  const id = String(json.id);
  return {
    opts: json.delay === undefined ? {} : { delay: json.delay },
    promote: () => actions.promote(id),
    remove: () => actions.remove(id),
    retry: () => actions.retry(id),
    toJSON: () => Object.assign({}, json, { name: topic }),
    getState: async () => state,
  };
}

/** A job that waits, runs or is delayed. */
export function inspectedJson(
  { id, payload, enqueuedAtMs, attempts, dueAtMs }: InspectedJob,
  progress: unknown,
): QueueJobJson {
  return {
    ...jsonOf({ id, payload, enqueuedAtMs, attempts }),
    progress: shownProgress(progress),
    ...(dueAtMs !== undefined && { delay: Math.max(0, dueAtMs - enqueuedAtMs) }),
  };
}

/** A dead letter, which the dashboard calls failed. */
export function deadJson({ reason, stack, history, ...job }: DeadJob): QueueJobJson {
  const failures = history.length === 0 ? [] : [`before it was redriven: ${history.join('; ')}`];
  return {
    ...jsonOf(job),
    failedReason: reason,
    stacktrace: [...failures, stack ?? reason],
  };
}

/** A job whose result is kept. */
export function endedJson(id: string, result: unknown): QueueJobJson {
  const json = jsonOf({ id, payload: null, enqueuedAtMs: 0, attempts: 1 });
  return { ...json, returnvalue: result };
}

function jsonOf(job: {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  readonly attempts: number;
}): QueueJobJson {
  return {
    id: job.id,
    name: '',
    data: job.payload,
    timestamp: job.enqueuedAtMs,
    attemptsMade: job.attempts,
    progress: 0,
    failedReason: '',
    stacktrace: null,
    returnvalue: null,
    opts: {},
  };
}

/** The dashboard shows numbers as percentages. */
function shownProgress(progress: unknown): QueueJobJson['progress'] {
  if (typeof progress === 'number' || typeof progress === 'string') return progress;
  return typeof progress === 'object' && progress !== null ? progress : 0;
}
