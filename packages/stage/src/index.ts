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
  StageEngineError,
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
export type { FaultHook, RefusalFault, ServerCall, ServerFault } from './s3/faults.ts';
export type { S3ServerOptions } from './s3/options.ts';
export type { S3Exchange, S3ServerStats } from './s3/handler.ts';
export type { FaultRule } from './s3/fault-rules.ts';
export type { S3 } from './s3/s3.ts';
export { type S3Credentials, type S3Server, createS3Server } from './s3/s3-server.ts';
export type { S3StageOptions } from './s3/settings.ts';
export type { Address } from './server-kind.ts';
export type { StageHarm } from './resources.ts';
export type { StageTransition } from './server.ts';
export type { ServerClock } from './server-clock.ts';
export type { Dns } from './dns/dns.ts';
export type { DnsFault, DnsFaultKind } from './dns/faults.ts';
export type { Lookup, ResolverPatience } from './dns/lookup.ts';
export type { DnsQuery } from './dns/query.ts';
export type { DnsRecord, DnsRecordType } from './dns/record.ts';
export type { DnsOptions } from './dns/settings.ts';
export { GitNotFoundError } from './git/errors.ts';
export type { GitRequest } from './git/exchange.ts';
export type { Git, GitRepository } from './git/git.ts';
export type { GitFault, GitFaultKind, GitOptions, GitService } from './git/settings.ts';
export { StageSteeringError } from './program/errors.ts';
export type { TlsOptions } from './tls/form.ts';
export type { TlsHandshake } from './tls/handshake.ts';
export type { TlsProtocol } from './tls/settings.ts';
export type { Tls } from './tls/tls.ts';
export type { UpstreamRequest } from './upstream/exchange.ts';
export type {
  RepeatedAnswer,
  UpstreamAnswer,
  UpstreamFaults,
  UpstreamOptions,
  UpstreamRoute,
} from './upstream/settings.ts';
export type { Upstream } from './upstream/upstream.ts';
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
export type { StoragePolicy, StorageRole } from './supabase/access.ts';
export { type SupabaseKeys, supabaseKeys } from './supabase/client-keys.ts';
export type { SupabaseDisturbances } from './supabase/disturbances.ts';
export type { SupabaseExchange, SupabaseStorageStats } from './supabase/handler.ts';
export type { SupabaseStorageServerOptions } from './supabase/options.ts';
export { type RestSettings, SupabaseLiteNotFoundError } from './supabase/rest.ts';
export type { SupabaseStageDisturbances, SupabaseStageOptions } from './supabase/settings.ts';
export {
  type SupabaseStorageServer,
  createSupabaseStorageServer,
} from './supabase/storage-server.ts';
export type { Supabase } from './supabase/supabase.ts';
