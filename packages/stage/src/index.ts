/**
 * Stands up the servers a suite breaks, each a process of its own that can be killed. Nothing here answers from
 * inside the test, and nothing here outlives the process that opened it.
 */
export {
  EngineError,
  GitNotFoundError,
  PostgresNotFoundError,
  PostgresRefusedError,
  PostgresTemplateError,
  RedisNotFoundError,
  ServerStartError,
  ServerTimeoutError,
  FaultUnsupportedError,
  StageClosedError,
  StageLinkError,
  StageModeError,
  StageStateError,
  StageControlError,
} from './errors.ts';
export {
  type StageLease,
  type StagePool,
  type StagePoolOptions,
  openStagePool,
} from './pool/warm-pool.ts';
export { type Availability, checkImpairment } from './limits/netem.ts';
export type { ImpairOptions } from './limits/impairment.ts';
export type { StageNetwork } from './handle/network.ts';
export type { Postgres, PostgresWithReplica } from './servers/postgres/postgres.ts';
export type { RedisCluster } from './servers/redis/cluster.ts';
export type { RedisSentinel } from './servers/redis/sentinel.ts';
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
  type UpstreamResponse,
  type UpstreamFaults,
  type UpstreamOptions,
  type UpstreamRequest,
  type UpstreamRoute,
} from '@holdfast/emulators';
export type { S3 } from './servers/emulated/s3.ts';
export type {
  S3StageOptions,
  SupabaseStageFaults,
  SupabaseStageOptions,
} from '@holdfast/emulators/programs';
export type { Address } from './topology/server-spec.ts';
export type { StageFault } from './limits/server-limits.ts';
export type { StageTransition } from './handle/server.ts';
export type { ServerClock } from './handle/server-clock.ts';
export type { Dns } from './servers/emulated/dns.ts';
export type { DnsRecord, DnsRecordType } from '@holdfast/protocols/dns';
export type { Git, GitRepository } from './servers/emulated/git.ts';
export type { TlsOptions } from './servers/emulated/tls-options.ts';
export type { Tls } from './servers/emulated/tls.ts';
export type { Upstream } from './servers/emulated/upstream.ts';
export {
  type DirectAddress,
  type FillOptions,
  type LimitOptions,
  type PostgresStageOptions,
  type RedisClusterOptions,
  type RedisSentinelOptions,
  type RedisStageOptions,
  type ServerHandle,
  type ServerState,
  type Stage,
  type StageMode,
  type StageOptions,
  type StartOptions,
  openStage,
} from './stage.ts';
export type { Supabase } from './servers/supabase/supabase.ts';
