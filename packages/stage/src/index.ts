/**
 * Stands up the servers a suite breaks, each a process of its own that can be killed. Nothing here answers from
 * inside the test, and nothing here outlives the process that opened it.
 */
export {
  BrokerError,
  EngineError,
  PostgresNotFoundError,
  PostgresRefusedError,
  PostgresTemplateError,
  RedisNotFoundError,
  ServerStartError,
  ServerTimeoutError,
  StageCannotError,
  StageClosedError,
  StageLinkError,
  StageModeError,
  StageStateError,
} from './errors.ts';
export {
  type Broker,
  type BrokerOptions,
  type ServersLease,
  leaseServers,
  openBroker,
} from './lease/broker.ts';
export { type Lease, type Spares, type SparesOptions, openSpares } from './lease/spares.ts';
export { type ImpairmentPlan, planImpairment } from './netem.ts';
export type { ImpairOptions } from './impairment.ts';
export type { StageNetwork } from './network.ts';
export type { Postgres, PostgresWithReplica } from './postgres/postgres.ts';
export type { RedisCluster } from './redis/cluster.ts';
export type { RedisSentinel } from './redis/sentinel.ts';
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
  type Lookup,
  type RefusalFault,
  type RepeatedAnswer,
  type ResolverPatience,
  type RestSettings,
  type S3Credentials,
  type S3Exchange,
  type S3Server,
  type S3ServerOptions,
  type S3ServerStats,
  type ServerCall,
  type ServerFault,
  type StoragePolicy,
  type StorageRole,
  type SupabaseDisturbances,
  type SupabaseExchange,
  type SupabaseKeys,
  supabaseKeys,
  SupabaseLiteNotFoundError,
  type SupabaseStorageServer,
  type SupabaseStorageServerOptions,
  type SupabaseStorageStats,
  type TlsHandshake,
  type TlsProtocol,
  type UpstreamAnswer,
  type UpstreamFaults,
  type UpstreamOptions,
  type UpstreamRequest,
  type UpstreamRoute,
} from '@holdfast/emulators';
export type { S3 } from './servers/s3.ts';
export type {
  S3StageOptions,
  SupabaseStageDisturbances,
  SupabaseStageOptions,
} from '@holdfast/emulators/programs';
export type { Address } from './server-kind.ts';
export type { StageHarm } from './resources.ts';
export type { StageTransition } from './server.ts';
export type { ServerClock } from './server-clock.ts';
export type { Dns } from './servers/dns.ts';
export type { DnsRecord, DnsRecordType } from '@holdfast/protocols/dns';
export { GitNotFoundError } from './servers/git-errors.ts';
export type { Git, GitRepository } from './servers/git.ts';
export { StageSteeringError } from './servers/control-error.ts';
export type { TlsOptions } from './servers/tls-options.ts';
export type { Tls } from './servers/tls.ts';
export type { Upstream } from './servers/upstream.ts';
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
export type { Supabase } from './servers/supabase.ts';
