import type { Emitter, Clock, Random } from '@holdfast/foundation';
import type { QueueBackend } from '../backend.ts';
import type { Backlog } from '../fallback/backlog.ts';
import type { TopicOptions } from '../options.ts';
import type { PoisonStore } from '../fallback/poison-store.ts';
import type { Acceptor, AcknowledgeLevel, QueueEvents } from '../queue.ts';

/** What jobs are routed with, and by which bounds. */
export interface ProducerDeps {
  readonly backend: QueueBackend;
  readonly backlog: Backlog;
  readonly poison: PoisonStore;
  readonly fallback: Exclude<Acceptor, 'redis'>;
  readonly announcer: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly random: Random;
  readonly maxTopics: number;
  readonly maxPendingJobs: number;
  readonly maxPendingBytes: number;
  readonly retainMs: number;
  readonly maxRetainedBytes: number;
  readonly acknowledge: AcknowledgeLevel;
  readonly topics: ReadonlyMap<string, TopicOptions>;
}
