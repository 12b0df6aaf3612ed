import type { JobCounts, JobStatus, QueueJob } from '@bull-board/api/typings/app';
import type { PeekedKind } from '../backend.ts';
import { BackendError, OperationUnsupportedError } from '../errors.ts';
import type { Queue } from '../queue.ts';
import { type ShownState, deadJson, endedJson, inspectedJson, shownJob } from './shown-job.ts';

/** The part of a queue that the dashboard uses. */
export type BoardQueue = Pick<
  Queue,
  | 'cancel'
  | 'deadLetters'
  | 'drain'
  | 'enqueue'
  | 'getStats'
  | 'health'
  | 'inspect'
  | 'isPaused'
  | 'pause'
  | 'progress'
  | 'promote'
  | 'purge'
  | 'result'
  | 'resume'
>;

/** As many jobs of each state as `peek` lists at most. */
const MAX_LISTED = 1_000;
const KINDS = new Map<JobStatus, PeekedKind>([
  ['waiting', 'waiting'],
  ['active', 'pending'],
  ['delayed', 'delayed'],
]);

const NONE: JobCounts = {
  waiting: 0,
  active: 0,
  delayed: 0,
  failed: 0,
  completed: 0,
  paused: 0,
  prioritized: 0,
  'waiting-children': 0,
};

/** One topic of a queue, in the words of the dashboard. */
export class TopicBoard {
  readonly #queue: BoardQueue;
  readonly #topic: string;
  #counts: JobCounts = NONE;
  #isPaused = false;

  constructor(queue: BoardQueue, topic: string) {
    this.#queue = queue;
    this.#topic = topic;
  }

  /** How many jobs there are of each state; while Redis is away, how many there were. */
  counts(): Promise<JobCounts> {
    return whileAway(
      async () => {
        const { waiting, pending, delayed, dead } = await this.#queue.inspect(this.#topic).counts();
        this.#counts = { ...NONE, waiting, active: pending, delayed, failed: dead };
        return this.#counts;
      },
      () => this.#counts,
    );
  }

  /** The same for whether the topic is paused. */
  isPaused(): Promise<boolean> {
    return whileAway(
      async () => {
        this.#isPaused = await this.#queue.isPaused(this.#topic).catch(notPaused);
        return this.#isPaused;
      },
      () => this.#isPaused,
    );
  }

  /** The jobs of the states from one place to another; none while Redis is away. */
  async jobs(states: readonly JobStatus[], start: number, end: number): Promise<QueueJob[]> {
    const limit = Math.min(MAX_LISTED, end + 1);
    const listed = await whileAway(
      () => Promise.all(states.map((state) => this.#list(state, limit))),
      () => [],
    );
    return listed.flatMap((jobs) => jobs.slice(start, end + 1));
  }

  /** A job among those that can be listed, or one whose outcome is kept. */
  async job(id: string): Promise<QueueJob | undefined> {
    for (const state of [...KINDS.keys(), 'failed'] as const) {
      const jobs = await this.#list(state, MAX_LISTED);
      const found = jobs.find((job) => job.toJSON().id === id);
      if (found !== undefined) return found;
    }
    try {
      const result = await this.#queue.result(this.#topic, id, { timeoutMs: 0 });
      return this.#shown('completed', endedJson(id, result));
    } catch {
      return undefined;
    }
  }

  /** Removes the jobs of one state, as many as can be listed. */
  async clean(state: JobStatus): Promise<void> {
    const jobs = await this.#list(state, MAX_LISTED);
    for (const job of jobs) await job.remove();
  }

  /** What the link to Redis is like, and what the fallback holds, in a few words. */
  get state(): string {
    const { state, depth, level, errorClass, lastError } = this.#queue.health();
    const held = depth === 0 ? '' : `, ${depth} in the fallback`;
    const why = errorClass === undefined ? '' : `: ${errorClass}, ${lastError}`;
    return `${level}, ${state}${held}${why}`;
  }

  async #list(state: JobStatus, limit: number): Promise<QueueJob[]> {
    if (state === 'failed') {
      const dead = await this.#queue.deadLetters(this.#topic).list({ limit });
      return dead.map((job) => this.#shown('failed', deadJson(job)));
    }
    const kind = KINDS.get(state);
    if (kind === undefined) return [];
    const jobs = await this.#queue.inspect(this.#topic).peek(kind, { limit });
    return Promise.all(
      jobs.map(async (job) => {
        const progress = kind === 'pending' ? await this.#progress(job.id) : undefined;
        return this.#shown(kind === 'pending' ? 'active' : kind, inspectedJson(job, progress));
      }),
    );
  }

  async #progress(id: string): Promise<unknown> {
    try {
      return await this.#queue.progress(this.#topic, id);
    } catch {
      // A store without progress.
      return undefined;
    }
  }

  #shown(state: ShownState, json: ReturnType<typeof deadJson>): QueueJob {
    const queue = this.#queue;
    const topic = this.#topic;
    return shownJob(topic, state, json, {
      promote: async (id) => void (await queue.promote(topic, id)),
      remove: async (id) => void (await queue.cancel(topic, id)),
      retry: async (id) => void (await queue.deadLetters(topic).redrive({ ids: [id] })),
    });
  }
}

/** A store that cannot be paused never is. */
function notPaused(error: unknown): false {
  if (error instanceof OperationUnsupportedError) return false;
  throw error;
}

/** What Redis says, or what is to be said while it is away. */
async function whileAway<T>(ask: () => Promise<T>, otherwise: () => T): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof BackendError) return otherwise();
    throw error;
  }
}
