import { abortable } from '@holdfast/foundation';
import { type Queue, createQueueAdapter } from '@holdfast/queue';
import { RedisUnusableError } from '../../errors.ts';

/** Where the jobs are. */
export interface QueueAddress {
  readonly redis: string;
  readonly prefix: string;
}

/** A person waits longer than a service does. */
const COMMAND_TIMEOUT_MS = 5_000;
const CLOSE_WITHIN_MS = 2_000;

/**
 * Opens a queue that enqueues nothing, works with it, and closes it.
 * @throws RedisUnusableError; the errors of `work`
 */
export async function withQueue<T>(
  { redis, prefix }: QueueAddress,
  signal: AbortSignal,
  work: (queue: Queue) => Promise<T>,
): Promise<T> {
  const given = { commandTimeoutMs: COMMAND_TIMEOUT_MS, connectTimeoutMs: COMMAND_TIMEOUT_MS };
  const queue = createQueueAdapter({ redis: { url: redis }, prefix, ...given });
  try {
    await abortable(queue.ready(), signal);
    const { state, lastError = 'it does not answer' } = queue.getStats();
    if (state !== 'direct') throw new RedisUnusableError(lastError);
    return await abortable(work(queue), signal);
  } finally {
    await queue.close({ deadlineMs: CLOSE_WITHIN_MS });
  }
}
