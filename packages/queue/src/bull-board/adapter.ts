/** Shows the topics of queues in the dashboard of bull-board. */
import { BaseAdapter } from '@bull-board/api/dist/queueAdapters/base.js';
import type {
  JobCleanStatus,
  JobCounts,
  JobStatus,
  QueueJob,
  QueueJobOptions,
  QueueMetrics,
  Status,
} from '@bull-board/api/typings/app';
import { boolean, optional, parseOptions, string, systemClock } from '@holdfast/foundation';
import { OperationUnsupportedError } from '../errors.ts';
import { checkTopic } from '../producer/payload.ts';
import { shownJob } from './shown-job.ts';
import { type BoardQueue, TopicBoard } from './topic-board.ts';

/** Options of `bullBoardAdapter`. */
export interface BullBoardOptions {
  /** Shows no buttons that change anything. Default false. */
  readOnlyMode?: boolean;
  /** What the topic is called in the dashboard, in front of the state of the queue. Default its name. */
  displayName?: string;
}

const OWNER = 'bullBoardAdapter';
const shape = { readOnlyMode: boolean(false), displayName: optional(string({ maxLength: 200 })) };

/**
 * Shows one topic of a queue in the dashboard of bull-board: how many jobs there are of each state and pages of them, dead
 * letters as failed jobs that can be retried, the pause of the topic; and in its name the state of the queue and what
 * its fallback holds. `createBullBoard({ queues: [bullBoardAdapter(queue, 'emails')], serverAdapter })`.
 * @throws InvalidOptionError
 */
export function bullBoardAdapter(
  queue: BoardQueue,
  topic: string,
  options?: BullBoardOptions,
): BaseAdapter {
  checkTopic(OWNER, topic);
  const { readOnlyMode, displayName } = parseOptions(OWNER, shape, options);
  return new QueueAdapter(queue, topic, { readOnlyMode, title: displayName ?? topic });
}

class QueueAdapter extends BaseAdapter {
  readonly #queue: BoardQueue;
  readonly #topic: string;
  readonly #title: string;
  readonly #board: TopicBoard;

  constructor(
    queue: BoardQueue,
    topic: string,
    { readOnlyMode, title }: { readonly readOnlyMode: boolean; readonly title: string },
  ) {
    super('bullmq', { readOnlyMode, allowCompletedRetries: false });
    this.#queue = queue;
    this.#topic = topic;
    this.#title = title;
    this.#board = new TopicBoard(queue, topic);
  }

  getName(): string {
    return this.#topic;
  }

  override getDisplayName(): string {
    const { state, depth } = this.#queue.health();
    if (state === 'direct' && depth === 0) return this.#title;
    return `${this.#title} [${state}, ${depth} in the fallback]`;
  }

  override getDescription(): string {
    return this.#board.state;
  }

  getJobCounts(): Promise<JobCounts> {
    return this.#board.counts();
  }

  getJobs(states: JobStatus[], start = 0, end = 0): Promise<QueueJob[]> {
    return this.#board.jobs(states, start, end);
  }

  getJob(id: string): Promise<QueueJob | undefined> {
    return this.#board.job(id);
  }

  isPaused(): Promise<boolean> {
    return this.#board.isPaused();
  }

  async pause(): Promise<void> {
    await this.#queue.pause(this.#topic);
  }

  async resume(): Promise<void> {
    await this.#queue.resume(this.#topic);
  }

  async empty(): Promise<void> {
    await this.#queue.drain(this.#topic);
  }

  async obliterate(): Promise<void> {
    await this.#queue.purge(this.#topic);
  }

  /** @throws OperationUnsupportedError for dead letters: redrive them, or let `maxDeadLetters` remove the oldest. */
  async clean(state: JobCleanStatus): Promise<void> {
    if (state === 'wait') await this.#queue.drain(this.#topic);
    else if (state === 'delayed') await this.#board.clean('delayed');
    else throw new OperationUnsupportedError(`clean ${state}`);
  }

  async promoteAll(): Promise<void> {
    for (const job of await this.#board.jobs(['delayed'], 0, Number.MAX_SAFE_INTEGER)) {
      await job.promote();
    }
  }

  async addJob(_: string, data: unknown, { delay = 0 }: QueueJobOptions): Promise<QueueJob> {
    const { id } = await this.#queue.enqueue(this.#topic, data, { delayMs: delay });
    const found = await this.#board.job(id);
    return found ?? this.#accepted(id, data);
  }

  getStatuses(): Status[] {
    return ['latest', ...this.getJobStatuses()];
  }

  getJobStatuses(): JobStatus[] {
    return ['active', 'waiting', 'failed', 'delayed'];
  }

  async getJobLogs(): Promise<string[]> {
    return [];
  }

  async getMetrics(): Promise<QueueMetrics> {
    return { meta: { count: 0, prevTS: 0, prevCount: 0 }, data: [], count: 0 };
  }

  /** The board asks for it of its first queue. */
  async getRedisInfo(): Promise<string | null> {
    return null;
  }

  async removeJobScheduler(): Promise<boolean> {
    return false;
  }

  async getJobSchedulers(): Promise<[]> {
    return [];
  }

  async getJobSchedulersCount(): Promise<number> {
    return 0;
  }

  async updateJobScheduler(): Promise<'not-found'> {
    return 'not-found';
  }

  async runJobSchedulerNow(): Promise<'not-found'> {
    return 'not-found';
  }

  async getGlobalConcurrency(): Promise<number | null> {
    return null;
  }

  async setGlobalConcurrency(): Promise<void> {
    throw new OperationUnsupportedError('setGlobalConcurrency');
  }

  /** A job that is in the fallback, where it cannot be listed, or is handled already. */
  #accepted(id: string, data: unknown): QueueJob {
    const refuse = async (): Promise<void> => {
      throw new OperationUnsupportedError('a job that is not listed');
    };
    const json = {
      id,
      name: this.#topic,
      data,
      timestamp: Math.floor(systemClock.epochMs()),
      attemptsMade: 0,
      progress: 0,
      failedReason: '',
      stacktrace: null,
      returnvalue: null,
      opts: {},
    };
    const actions = { promote: refuse, remove: refuse, retry: refuse };
    return shownJob(this.#topic, 'waiting', json, actions);
  }
}
