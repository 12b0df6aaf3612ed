/**
 * Starts the servers that a suite breaks, each in a process of its own that can be killed. None of them outlives
 * the process that opened it.
 */
export {
  EngineError,
  FaultUnsupportedError,
  GitNotFoundError,
  PgBouncerNotFoundError,
  PostgresNotFoundError,
  PostgresRefusedError,
  PostgresTemplateError,
  RedisNotFoundError,
  ServerStartError,
  ServerTimeoutError,
  ServerUnreachableError,
  StageClosedError,
  StageControlError,
  StageFolderError,
  StageLinkError,
  StageModeError,
  StageStateError,
} from './errors.ts';
export { STAGE_OPEN_TIMEOUT_MS } from './topology/first-run.ts';
export { type Stage, openStage } from './stage.ts';
export type { StageMode } from './mode-name.ts';
export type { StageOptions } from './options.ts';
export type {
  DirectAddress,
  FillOptions,
  LimitOptions,
  ServerHandle,
  ServerState,
  StageFault,
  StartOptions,
} from './handle/handle.ts';
export type { StageNetwork } from './handle/network.ts';
export type { ServerClock } from './handle/server-clock.ts';
export type { StageTransition } from './handle/server-state.ts';
export type { ImpairOptions } from './limits/impairment.ts';
export { checkImpairment } from './limits/netem.ts';
export type { Availability } from './system/availability.ts';
export type { Endpoint } from './system/endpoint.ts';
export {
  type StageLease,
  type StagePool,
  type StagePoolOptions,
  openStagePool,
} from './pool/warm-pool.ts';
export type { PostgresStageOptions } from './servers/postgres/options.ts';
export type { PgBouncer } from './servers/postgres/pgbouncer.ts';
export type { PgBouncerMode, PgBouncerStageOptions } from './servers/postgres/pgbouncer-options.ts';
export type {
  Postgres,
  PostgresWithPgBouncer,
  PostgresWithReplica,
} from './servers/postgres/postgres.ts';
export type { RedisCluster } from './servers/redis/cluster.ts';
export type {
  RedisClusterOptions,
  RedisSentinelOptions,
  RedisStageOptions,
} from './servers/redis/options.ts';
export type { RedisSentinel } from './servers/redis/sentinel.ts';
export type { Dns } from './servers/emulated/dns.ts';
export type { Git, GitRepository } from './servers/emulated/git.ts';
export type { S3 } from './servers/emulated/s3.ts';
export type { TlsOptions } from './servers/emulated/tls-options.ts';
export type { RotateOptions, Tls } from './servers/emulated/tls.ts';
export type { EsimGo } from './servers/emulated/esim-go.ts';
export type { Upstream } from './servers/emulated/upstream.ts';
export type { Supabase } from './servers/supabase/supabase-handle.ts';
export type { DnsRecord, DnsRecordType } from '@holdfast/protocols/dns';
export type {
  S3StageOptions,
  SupabaseStageFaults,
  SupabaseStageOptions,
} from '@holdfast/emulators/programs';
export {
  createS3Server,
  createSupabaseStorageServer,
  type DnsFault,
  type DnsFaultKind,
  type DnsOptions,
  type DnsQuery,
  type FaultHook,
  type FaultRule,
  type GitFault,
  type GitFaultKind,
  type GitOptions,
  type GitRequest,
  type GitService,
  type LookupFunction,
  type ErrorFault,
  type RepeatedResponse,
  type ResolverTimeouts,
  type RestSettings,
  type S3Credentials,
  type S3RequestRecord,
  type S3Server,
  type S3ServerOptions,
  type S3ServerStats,
  type ServerCall,
  type ServerFault,
  type StoragePolicy,
  type StorageRole,
  type SupabaseFaults,
  type SupabaseRequestRecord,
  type SupabaseKeys,
  supabaseKeys,
  SupabaseLiteNotFoundError,
  type SupabaseStorageServer,
  type SupabaseStorageServerOptions,
  type SupabaseStorageStats,
  type TlsHandshake,
  type TlsProtocol,
  type UpstreamBodyFault,
  type UpstreamEncoding,
  type UpstreamResponse,
  type UpstreamWire,
  type UpstreamFaults,
  type UpstreamOptions,
  type UpstreamRequest,
  type UpstreamRoute,
} from '@holdfast/emulators';
