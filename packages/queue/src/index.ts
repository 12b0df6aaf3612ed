/**
 * Job queues on Redis that accept jobs during an outage. A job is acknowledged only when Redis or the fallback has it,
 * and callers do not wait for a server that is down.
 */
export { createQueueAdapter, createQueueOn } from './create-queue.ts';
export type {
  BackendFailure,
  Debounce,
  DeadLetter,
  Delivery,
  ErrorClass,
  ConnectionListener,
  PeekedJob,
  PeekedKind,
  Publication,
  PublishReceipt,
  PublishedJob,
  QueueBackend,
  RecoveredDeliveries,
  Subscription,
  TopicCounts,
} from './backend.ts';
export type {
  CancelOutcome,
  Controlled,
  DrainTopicOptions,
  OperationOptions,
  PauseOutcome,
  PromoteOutcome,
  QueueControl,
  RescheduleOptions,
  RescheduleOutcome,
  ResumeOutcome,
} from './control/control.ts';
export {
  BackendError,
  DuplicateConsumerError,
  EffectRolledBackError,
  NotSentError,
  PartialEnqueueError,
  PayloadTooLargeError,
  PoisonJobError,
  QueueClosedError,
  FallbackFailedError,
  FallbackNotReadyError,
  JobTimeoutError,
  OperationUnsupportedError,
  PurgeInterruptedError,
  MissingPeerError,
  QueueFullError,
  SchemaViolationError,
  ServerUnsupportedError,
  UndrainedJobsError,
  UnrecoverableError,
} from './errors.ts';
export { type MemoryBackendOptions, createMemoryBackend } from './memory/backend.ts';
export type { IdempotencyLedger, LedgerEntry } from './ledger/idempotency-ledger.ts';
export { memoryLedger } from './ledger/memory-ledger.ts';
export {
  type LedgerConnection,
  type LedgerPool,
  type PostgresLedger,
  type PostgresLedgerOptions,
  postgresLedger,
} from './ledger/postgres-ledger.ts';
export { type LedgerRedis, type RedisLedgerOptions, redisLedger } from './ledger/redis-ledger.ts';
export type { QueueFallbackOptions, JournalFallbackOptions, QueueOptions } from './options.ts';
export type {
  Accepted,
  Acceptor,
  AcknowledgeLevel,
  Consumer,
  ConsumerStall,
  ConsumerStats,
  DeadJob,
  DeadLetters,
  EnqueueManyOptions,
  EnqueueOptions,
  Handler,
  InspectedJob,
  Inspection,
  Job,
  NewJob,
  ProcessOptions,
  Queue,
  QueueEvents,
  QueueHealth,
  QueueStats,
  RunningJob,
} from './queue.ts';
export {
  ResultExpiredError,
  ResultFailedError,
  ResultNotKeptError,
  type ResultNotKeptReason,
  ResultUnknownError,
} from './outcomes/errors.ts';
export type {
  KeptOutcome,
  OutcomeState,
  OutcomeStore,
  OutcomeWatch,
} from './outcomes/outcome-store.ts';
export type {
  JobResults,
  KeepResults,
  ResultKeeping,
  ResultWaitOptions,
} from './outcomes/results.ts';
export { type TopicHandler, defineTopics } from './producer/define-topics.ts';
export type { JobBackoff, JobOptions } from './producer/job-options.ts';
export type { Priority } from './producer/scheduling.ts';
export type { IoredisClient, RedisConnector, RequiredOptions } from './redis/connector.ts';
export type { RedisAddress, RedisLogin, RedisServerOptions } from './redis/server-options.ts';
export type {
  ScheduleInfo,
  ScheduleOptions,
  Scheduling,
  Timetable,
  Unscheduled,
} from './schedules/schedule.ts';
export type { ScheduleNotice, ScheduleRecord, ScheduleStore } from './schedules/schedule-store.ts';
export type { SharedLimitOptions, LimitedJob, SharedLimits } from './limits/limit-options.ts';
export type { LimitStore, LimitedSlot, StartPermit, PermitRequest } from './limits/limit-store.ts';
export type { DebounceOptions, WindowOptions } from './windows/window-options.ts';
export type { StandardSchema } from './producer/schema.ts';
export type {
  PayloadInput,
  PayloadOutput,
  ResultInput,
  ResultOutput,
  TopicOptions,
  Topics,
} from './producer/topics.ts';
export type { QueueState } from './state/queue-state.ts';
export type { QueueTracing, TraceCarrier, TracedAnswer, TracedJob } from './tracing/tracing.ts';
