/** Emulated servers with injectable faults: S3, Supabase Storage, DNS, HTTP, TLS, git and Postgres. */
export type { DnsFault, DnsFaultKind, DnsForgery } from './dns/faults.ts';
export type { LookupFunction, ResolverTimeouts } from './dns/lookup.ts';
export type { DnsQuery } from './dns/query.ts';
export type { DnsOptions } from './dns/settings.ts';
export type { GitRequest } from './git/handle-request.ts';
export type { GitFault, GitFaultKind, GitOptions, GitService } from './git/settings.ts';
export type { UpstreamRequest } from './http/handle-request.ts';
export type {
  RepeatedResponse,
  UpstreamResponse,
  UpstreamFaults,
  UpstreamOptions,
  UpstreamRoute,
} from './http/settings.ts';
export type { UpstreamBodyFault, UpstreamEncoding, UpstreamWire } from './http/wire.ts';
export type { FaultRule } from './serving/fault-rules.ts';
export type { FaultHook, ErrorFault, ServerCall, ServerFault } from './serving/call-faults.ts';
export type { S3RequestRecord, S3ServerStats } from './s3/handler.ts';
export type { S3ServerOptions } from './s3/options.ts';
export { type S3Credentials, type S3Server, createS3Server } from './s3/s3-server.ts';
export type { StoragePolicy, StorageRole } from './supabase/access.ts';
export { type SupabaseKeys, supabaseKeys } from './supabase/client-keys.ts';
export type { SupabaseFaults } from './supabase/faults.ts';
export type { SupabaseRequestRecord, SupabaseStorageStats } from './supabase/handler.ts';
export type { SupabaseStorageServerOptions } from './supabase/options.ts';
export { type RestSettings, SupabaseLiteNotFoundError } from './supabase/rest.ts';
export {
  type SupabaseStorageServer,
  createSupabaseStorageServer,
} from './supabase/storage-server.ts';
export type { TlsHandshake } from './tls/handshake.ts';
export type { TlsProtocol } from './tls/settings.ts';
