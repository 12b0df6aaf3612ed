import {
  type Clock,
  type Random,
  type OptionRule,
  InvalidOptionError,
  callback,
  boolean,
  objectWith,
  integer,
  object,
  oneOf,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import { type ResolvedKeepResults, keepResultsRule } from './outcomes/keep-results.ts';
import type { AcknowledgeLevel, EnqueueManyOptions, ProcessOptions } from './queue.ts';
import { type RequestedJobOptions, jobOptionsShape } from './producer/job-options.ts';
import { type ResolvedLimits, limitsRule } from './limits/limit-options.ts';
import { topicsRule } from './producer/define-topics.ts';
import { PRIORITIES, type Priority } from './producer/scheduling.ts';
import type { TopicOptions, Topics } from './producer/topics.ts';
import { hidingSecrets } from './redis/secrets.ts';
import {
  type RedisServer,
  type RedisServerOptions,
  parseRedisServer,
} from './redis/server-options.ts';

import type { QueueTracing } from './tracing/tracing.ts';
import { type ResolvedWindowOptions, windowShape } from './windows/window-options.ts';

export type { TopicOptions } from './producer/topics.ts';

/** Options of {@link createQueueAdapter}. All times in milliseconds, all sizes in bytes. */
export interface QueueOptions<T extends Topics = Topics> {
  /** The address of Redis, a function that creates a client, Sentinels, or nodes of a cluster. */
  redis: RedisServerOptions;
  /** The store for jobs while Redis is down. `'memory'` does not survive the process. Default `'memory'`. */
  fallback?: 'memory' | QueueFallbackOptions;
  /** The store that must have a job before `enqueue` resolves. Default `'redis'`. */
  acknowledge?: AcknowledgeLevel;
  /** With `acknowledge: 'replicated'`: the number of replicas that must have a job. Default 1. */
  replicas?: number;
  /** With `'replicated'`: Redis and they have the job on disk (WAITAOF; Redis >= 7.2, appendonly). Default false. */
  onDisk?: boolean;
  /** The prefix of the keys in Redis. Default `holdfast`. */
  prefix?: string;
  /** The largest payload, as JSON. Default 1 MiB. */
  maxPayloadBytes?: number;
  /** The most jobs that wait in memory for a reply of Redis or the journal. Default 10 000. */
  maxPendingJobs?: number;
  /** The most payload of these jobs, in characters of JSON. Default 64 MiB. */
  maxPendingBytes?: number;
  /**
   * What happens when a limit is reached. `'reject'`: QueueFullError. `'wait'`: the job waits for room, in order, for
   * `backpressureTimeoutMs`. `'shed-oldest'`: the oldest jobs of the fallback are dropped, and the event `shed` counts
   * them; the limits of memory still reject. Default `'reject'`.
   */
  backpressure?: 'reject' | 'wait' | 'shed-oldest';
  /** Default 30 000. */
  backpressureTimeoutMs?: number;
  /** Options of individual topics, or only their schemas, which give `enqueue` and `process` their types. */
  topics?: T;
  /** The most topics that one queue enqueues to. Default 1 000. */
  maxTopics?: number;
  /** The limits of the fallback, in memory or on disk. Defaults 1 000 000 jobs and 256 MiB. */
  maxBacklogJobs?: number;
  /** The most payload of the fallback, in bytes. Default 256 MiB. */
  maxBacklogBytes?: number;
  /** The deadline of a command; then the connection is given up. Default 1 000. */
  commandTimeoutMs?: number;
  /** The deadline of a connection attempt. Default 1 500. */
  connectTimeoutMs?: number;
  /** The interval of probes on an idle connection. Default 1 000. */
  pingIntervalMs?: number;
  /** The delays between connection attempts double from the first to the longest. Defaults 25 and 500. */
  reconnect?: {
    /** The first delay. Default 25. */
    initialDelayMs?: number;
    /** The longest. Default 500. */
    maxDelayMs?: number;
  };
  /** The most dead letters kept of each topic, the newest. Default 10 000. */
  maxDeadLetters?: number;
  /** How long the `jobId` of an applied job is remembered. Default one day. */
  jobIdTtlMs?: number;
  /** How long confirmed jobs are kept for a Redis that loses them; 0: not. Default 5 000: `appendfsync everysec`. */
  retainMs?: number;
  /** The most payload kept in memory for that, of all topics together. Default 32 MiB. */
  maxRetainedBytes?: number;
  /** How long Redis remembers the high-water mark of a producer after its last job. Default seven days. */
  markTtlMs?: number;
  /** The tracer of its jobs, such as `queueTracing` of `@holdfast/queue/opentelemetry`. Default: none. */
  tracing?: QueueTracing;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** A fallback on disk, which survives the process. */
export interface QueueFallbackOptions {
  /** Where the jobs wait, and its limits. */
  journal: JournalFallbackOptions;
  /**
   * While the journal cannot be opened (another process owns it, as in a rolling deploy; its volume is missing or
   * read-only), `'reject'` rejects jobs with its error; `'redis'` sends them to Redis, without a fallback until the
   * journal is open: it is tried again all the time. The jobs of this queue stay in the order of their calls. Those
   * that an earlier owner left in the journal come once it is open: after the jobs sent meanwhile, and before later
   * ones, also of one topic and key. Where that matters, use `'reject'`, the default.
   */
  whenUnavailable?: 'reject' | 'redis';
}

/** Options of the journal in which jobs wait for Redis. All times in milliseconds. */
export interface JournalFallbackOptions {
  /** A directory of its own, created when it does not exist but its parent does; one process owns it at a time. */
  directory: string;
  /** When an accepted job is durable; see the package `journal`. Default `'commit'`. */
  durability?: 'commit' | 'batch-ms' | 'os';
  /** The longest that its disk may not answer before jobs are refused, in milliseconds. Default 5 000. */
  ioTimeoutMs?: number;
  /**
   * How long this process may be silent before a successor in another container or on another machine takes the
   * journal over, in milliseconds; a successor that sees its processes takes over at once. Default 5 000.
   */
  ownerStaleMs?: number;
}

/** The value of `maxPerSecond` that means no limit. */
export const UNLIMITED_PER_SECOND = 1_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MIB = 1_048_576;
const OWNER = 'createQueueAdapter';

const milliseconds = (fallback: number): OptionRule<number> =>
  integer({ min: 1, max: 365 * DAY_MS, default: fallback });

/** The options of the queue with every default filled in, without `redis` and `fallback`. */
export type ResolvedQueueTuning = Readonly<
  Required<Omit<QueueOptions, 'redis' | 'fallback' | 'reconnect' | 'topics' | 'tracing'>> & {
    tracing: QueueTracing | undefined;
    reconnect: Readonly<{ initialDelayMs: number; maxDelayMs: number }>;
    topics: ReadonlyMap<string, TopicOptions>;
  }
>;

/** The options of `process` with every default filled in. */
export type ResolvedProcessOptions = Readonly<
  Required<
    Omit<ProcessOptions, 'name' | 'retry' | 'timeoutMs' | 'maxCrashes' | 'keepResults' | 'limits'>
  >
> & {
  readonly maxCrashes: number | undefined;
  readonly keepResults: ResolvedKeepResults | undefined;
  readonly retry: ProcessOptions['retry'] | undefined;
  readonly timeoutMs: number | undefined;
  readonly limits: ResolvedLimits | undefined;
};

type RulesOf<T> = { readonly [Key in keyof T]: OptionRule<T[Key]> };

const tuningShape: RulesOf<ResolvedQueueTuning> = {
  acknowledge: oneOf(['local', 'redis', 'replicated'], 'redis'),
  replicas: integer({ min: 0, max: 100, default: 1 }),
  onDisk: boolean(false),
  prefix: string({ maxLength: 100, default: 'holdfast' }),
  maxPayloadBytes: integer({ min: 1, max: 64 * MIB, default: MIB }),
  maxPendingJobs: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  maxPendingBytes: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 64 * MIB }),
  backpressure: oneOf(['reject', 'wait', 'shed-oldest'], 'reject'),
  backpressureTimeoutMs: milliseconds(30_000),
  topics: topicsRule(),
  maxTopics: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  maxBacklogJobs: integer({ min: 1, max: 1_000_000_000, default: 1_000_000 }),
  maxBacklogBytes: integer({ min: 4_096, max: Number.MAX_SAFE_INTEGER, default: 256 * MIB }),
  commandTimeoutMs: milliseconds(1_000),
  connectTimeoutMs: milliseconds(1_500),
  pingIntervalMs: milliseconds(1_000),
  reconnect: object({ initialDelayMs: milliseconds(25), maxDelayMs: milliseconds(500) }),
  maxDeadLetters: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  jobIdTtlMs: milliseconds(DAY_MS),
  retainMs: integer({ min: 0, max: DAY_MS, default: 5_000 }),
  maxRetainedBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 32 * MIB }),
  markTtlMs: milliseconds(7 * DAY_MS),
  tracing: optional(objectWith<QueueTracing>(['enqueue', 'drain', 'handle'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

const journalShape = {
  directory: string({ maxLength: 4_000 }),
  durability: optional(oneOf(['commit', 'batch-ms', 'os'])),
  ioTimeoutMs: optional(integer({ min: 10, max: HOUR_MS })),
  ownerStaleMs: optional(integer({ min: 20, max: DAY_MS })),
};

const enqueueShape = {
  delayMs: integer({ min: 0, max: 10 * 365 * DAY_MS, default: 0 }),
  jobId: optional(string({ maxLength: 200 })),
  key: optional(string({ maxLength: 200 })),
  priority: optional(oneOf(PRIORITIES)),
  ...jobOptionsShape,
  ...windowShape,
  signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])),
};

const enqueueManyShape = {
  signal: enqueueShape.signal,
  onAccepted: optional(callback<NonNullable<EnqueueManyOptions['onAccepted']>>()),
};

const consumerShape = {
  name: optional(string({ maxLength: 200 })),
  ledger: optional(objectWith<IdempotencyLedger<unknown>>(['once'])),
  maxPerSecond: integer({ min: 1, max: UNLIMITED_PER_SECOND, default: UNLIMITED_PER_SECOND }),
  concurrency: integer({ min: 1, max: 10_000, default: 10 }),
  maxAttempts: integer({ min: 1, max: 1_000, default: 3 }),
  maxCrashes: optional(integer({ min: 1, max: 1_000 })),
  whenExhausted: oneOf(['dead-letter', 'block'], 'dead-letter'),
  retryDelayMs: milliseconds(1_000),
  retry: optional(callback<NonNullable<ProcessOptions['retry']>>()),
  timeoutMs: optional(integer({ min: 1, max: DAY_MS })),
  limits: optional(limitsRule()),
  leaseMs: integer({ min: 300, max: DAY_MS, default: 30_000 }),
  maxRememberedJobs: integer({ min: 0, max: 10_000_000, default: 10_000 }),
  keepResults: optional(keepResultsRule),
};

/** With the defaults of `storage` and `database`, one after the other: 28 s of the 30 s that a pod has. */
const CLOSE_DEADLINE_MS = 8_000;

const closeShape = {
  deadlineMs: integer({ min: 0, max: DAY_MS, default: CLOSE_DEADLINE_MS }),
};

/** The options of `enqueue` with every default filled in. */
export interface ResolvedEnqueueOptions extends RequestedJobOptions, ResolvedWindowOptions {
  readonly jobId: string | undefined;
  readonly delayMs: number;
  readonly key: string | undefined;
  readonly priority: Priority | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The options of `enqueueMany`. */
export interface ResolvedEnqueueManyOptions {
  readonly signal: AbortSignal | undefined;
  readonly onAccepted: EnqueueManyOptions['onAccepted'] | undefined;
}

/** The options of calls without options, parsed once. */
const noEnqueueOptions: ResolvedEnqueueOptions = parseOptions('enqueue', enqueueShape, undefined);

/** The options of `enqueue`. @throws InvalidOptionError */
export function parseEnqueueOptions(given: unknown): ResolvedEnqueueOptions {
  return given === undefined ? noEnqueueOptions : parseOptions('enqueue', enqueueShape, given);
}

/** The options of `enqueueMany`. @throws InvalidOptionError */
export function parseEnqueueManyOptions(given: unknown): ResolvedEnqueueManyOptions {
  return parseOptions('enqueueMany', enqueueManyShape, given);
}

/** The options of `process`. @throws InvalidOptionError */
export function parseProcessOptions(
  given: unknown,
): ResolvedProcessOptions & { readonly name: string | undefined } {
  const { ledger: _, ...resolved } = parseOptions('process', consumerShape, given);
  return resolved;
}

/** @throws InvalidOptionError unless `handler` is a function. */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== 'function') {
    throw new InvalidOptionError('process', 'handler', handler, 'a function');
  }
}

/** The jobs of `enqueueMany`, with their options. @throws InvalidOptionError */
export function parseNewJobs(
  given: unknown,
): { payload: unknown; options: ResolvedEnqueueOptions }[] {
  const owner = 'enqueueMany';
  if (!Array.isArray(given)) throw new InvalidOptionError(owner, 'jobs', given, 'an array of jobs');
  return given.map((job: unknown, index) => {
    const field = `jobs[${index}]`;
    if (typeof job !== 'object' || job === null) {
      throw new InvalidOptionError(owner, field, job, 'an object with a payload');
    }
    const { payload, ...own }: { payload?: unknown } = job;
    return { payload, options: parseOptions(owner, enqueueShape, own, field) };
  });
}

/** The `limit` of `list` and `redrive`. @throws InvalidOptionError */
export function parseDeadLetterOptions(given: unknown, fallback: number): { limit: number } {
  const limit = integer({ min: 1, max: 10_000, default: fallback });
  return parseOptions('deadLetters', { limit }, given);
}

/** The deadline of `close`, in milliseconds. @throws InvalidOptionError */
export function parseCloseDeadlineMs(given: unknown): number {
  return parseOptions('close', closeShape, given).deadlineMs;
}

/** The options of `createQueueAdapter`, validated. */
export interface ResolvedQueueOptions {
  readonly redis: RedisServer;
  readonly fallback: 'memory' | Readonly<Required<QueueFallbackOptions>>;
  readonly tuning: ResolvedQueueTuning;
}

/** @throws InvalidOptionError naming field, value and permitted range. */
export function parseQueueOptions(given: QueueOptions): ResolvedQueueOptions {
  const shape = {
    ...tuningShape,
    redis: anything('the address of Redis'),
    fallback: fallbackRule(),
  };
  const { redis, fallback, ...tuning } = hidingSecrets(
    OWNER,
    (field) => field === 'options',
    () => parseOptions(OWNER, shape, given),
  );
  if (tuning.reconnect.initialDelayMs > tuning.reconnect.maxDelayMs) {
    const permitted = `at most reconnect.maxDelayMs (${tuning.reconnect.maxDelayMs})`;
    throw new InvalidOptionError(
      OWNER,
      'reconnect.initialDelayMs',
      tuning.reconnect.initialDelayMs,
      permitted,
    );
  }
  if (tuning.acknowledge === 'replicated' && tuning.replicas === 0 && !tuning.onDisk) {
    throw new InvalidOptionError(OWNER, 'replicas', 0, 'at least 1, unless onDisk is set');
  }
  const server = parseRedisServer(OWNER, redis);
  if (server.kind === 'cluster' && /[{}]/u.test(tuning.prefix)) {
    const permitted =
      'without braces in a cluster, where braces decide which node has a key: each topic has its own already';
    throw new InvalidOptionError(OWNER, 'prefix', tuning.prefix, permitted);
  }
  return { redis: server, fallback, tuning };
}

function fallbackRule(): OptionRule<ResolvedQueueOptions['fallback']> {
  const permitted = `'memory' or { journal: { directory } }`;
  return {
    permitted,
    defaultValue: () => 'memory',
    parse(value, field, owner) {
      if (value === 'memory') return value;
      if (typeof value !== 'object') throw new InvalidOptionError(owner, field, value, permitted);
      const shape = {
        journal: anything(permitted),
        whenUnavailable: oneOf(['reject', 'redis'], 'reject'),
      };
      const { journal, whenUnavailable } = parseOptions(owner, shape, value, field);
      const resolved = parseOptions(owner, journalShape, journal, `${field}.journal`);
      const { directory, durability, ioTimeoutMs, ownerStaleMs } = resolved;
      return {
        whenUnavailable,
        journal: {
          directory,
          ...(durability !== undefined && { durability }),
          ...(ioTimeoutMs !== undefined && { ioTimeoutMs }),
          ...(ownerStaleMs !== undefined && { ownerStaleMs }),
        },
      };
    },
  };
}

function anything(permitted: string): OptionRule<unknown> {
  return { permitted, parse: (value) => value };
}
