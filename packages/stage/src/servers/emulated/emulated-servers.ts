import { type Clock, type OptionRule, optional } from '@holdfast/foundation';
import { type Dns, dnsTopology, dnsRule } from './dns.ts';
import type { DnsOptions, GitOptions, UpstreamOptions } from '@holdfast/emulators';
import type {
  DnsSettings,
  GitSettings,
  S3Settings,
  S3StageOptions,
  SupabaseSettings,
  SupabaseStageOptions,
  UpstreamSettings,
} from '@holdfast/emulators/programs';
import type { ServerTopology } from '../../topology/topology.ts';
import { type Git, gitTopology, gitRule } from './git.ts';
import { type S3, s3Topology, s3Rule } from './s3.ts';
import type { Environment } from '../../topology/server-spec.ts';
import { type Supabase, supabaseTopology, supabaseRule } from '../supabase/supabase.ts';
import { type ResolvedTlsOptions, type TlsOptions, tlsRule } from './tls-options.ts';
import { type Tls, tlsTopology } from './tls.ts';
import { type Upstream, upstreamTopology, upstreamRule } from './upstream.ts';

/** The servers of a stage that are programs of this package. */
export interface EmulatedServerOptions {
  /** An HTTP server that says what it is told to. */
  upstream?: true | UpstreamOptions;
  /** A DNS server that knows what it is told. */
  dns?: true | DnsOptions;
  /** A TLS server, with an authority of its own that vouches for it. */
  tls?: true | TlsOptions;
  /** A git remote over HTTP. */
  git?: true | GitOptions;
  /** An S3, path style. */
  s3?: true | S3StageOptions;
  /** A Supabase with its Storage. */
  supabase?: true | SupabaseStageOptions;
}

/** Which handle each option brings. */
export interface EmulatedServerHandles {
  readonly upstream: Upstream;
  readonly dns: Dns;
  readonly tls: Tls;
  readonly git: Git;
  readonly s3: S3;
  readonly supabase: Supabase;
}

export interface ResolvedEmulatedOptions {
  readonly upstream: UpstreamSettings | undefined;
  readonly dns: DnsSettings | undefined;
  readonly tls: ResolvedTlsOptions | undefined;
  readonly git: GitSettings | undefined;
  readonly s3: S3Settings | undefined;
  readonly supabase: SupabaseSettings | undefined;
}

/** How the options are read. */
export const emulatedServerRules: {
  readonly [Name in keyof ResolvedEmulatedOptions]: OptionRule<ResolvedEmulatedOptions[Name]>;
} = {
  upstream: optional(upstreamRule),
  dns: optional(dnsRule),
  tls: optional(tlsRule),
  git: optional(gitRule),
  s3: optional(s3Rule),
  supabase: optional(supabaseRule),
};

/** Those that were asked for, by the name of their option. */
export function emulatedTopologies(
  {
    upstream,
    dns,
    tls,
    git,
    s3,
    supabase,
    clock,
  }: ResolvedEmulatedOptions & { readonly clock: Clock },
  env: Environment,
): { readonly name: string; readonly topology: ServerTopology<unknown> }[] {
  const topologies: { name: string; topology: ServerTopology<unknown> }[] = [];
  if (upstream !== undefined) {
    topologies.push({ name: 'upstream', topology: upstreamTopology(upstream, env) });
  }
  if (dns !== undefined) topologies.push({ name: 'dns', topology: dnsTopology(dns, env) });
  if (tls !== undefined) topologies.push({ name: 'tls', topology: tlsTopology(tls, clock, env) });
  if (git !== undefined) topologies.push({ name: 'git', topology: gitTopology(git, env) });
  if (s3 !== undefined) topologies.push({ name: 's3', topology: s3Topology(s3, env) });
  if (supabase !== undefined) {
    topologies.push({ name: 'supabase', topology: supabaseTopology(supabase, env) });
  }
  return topologies;
}
