import type { DnsOptions, GitOptions, UpstreamOptions } from '@holdfast/emulators';
import type { EsimGoOptions } from '@holdfast/emulators/esim-go';
import type {
  DnsSettings,
  EsimGoSettings,
  GitSettings,
  S3Settings,
  S3StageOptions,
  SupabaseSettings,
  SupabaseStageOptions,
  UpstreamSettings,
} from '@holdfast/emulators/programs';
import { type Clock, type OptionRule, optional } from '@holdfast/foundation';
import type { Environment } from '../system/executable.ts';
import type { ServerTopology } from '../topology/topology.ts';
import { type Dns, dnsRule, dnsTopology } from './emulated/dns.ts';
import { type EsimGo, esimGoRule, esimGoTopology } from './emulated/esim-go.ts';
import { type Git, gitRule, gitTopology } from './emulated/git.ts';
import { type S3, s3Rule, s3Topology } from './emulated/s3.ts';
import { type ResolvedTlsOptions, type TlsOptions, tlsRule } from './emulated/tls-options.ts';
import { type Tls, tlsTopology } from './emulated/tls.ts';
import { type Upstream, upstreamRule, upstreamTopology } from './emulated/upstream.ts';
import type { Supabase } from './supabase/supabase-handle.ts';
import { supabaseRule, supabaseTopology } from './supabase/supabase.ts';

/** The options of the servers that are programs of `@holdfast/emulators`. */
export interface EmulatedServerOptions {
  /** An HTTP server that answers as its script says. */
  upstream?: true | UpstreamOptions;
  /** A DNS server with the given records. */
  dns?: true | DnsOptions;
  /** A TLS server with a certificate authority of its own. */
  tls?: true | TlsOptions;
  /** A git remote over HTTP. */
  git?: true | GitOptions;
  /** The API of eSIM Go. */
  esimGo?: true | EsimGoOptions;
  /** An S3, path style. */
  s3?: true | S3StageOptions;
  /** A Supabase with its Storage. */
  supabase?: true | SupabaseStageOptions;
}

/** The handle of each option. */
export interface EmulatedServerHandles {
  readonly upstream: Upstream;
  readonly dns: Dns;
  readonly tls: Tls;
  readonly git: Git;
  readonly esimGo: EsimGo;
  readonly s3: S3;
  readonly supabase: Supabase;
}

export interface ResolvedEmulatedOptions {
  readonly upstream: UpstreamSettings | undefined;
  readonly dns: DnsSettings | undefined;
  readonly tls: ResolvedTlsOptions | undefined;
  readonly git: GitSettings | undefined;
  readonly esimGo: EsimGoSettings | undefined;
  readonly s3: S3Settings | undefined;
  readonly supabase: SupabaseSettings | undefined;
}

export const emulatedServerRules: {
  readonly [Name in keyof ResolvedEmulatedOptions]: OptionRule<ResolvedEmulatedOptions[Name]>;
} = {
  upstream: optional(upstreamRule),
  dns: optional(dnsRule),
  tls: optional(tlsRule),
  git: optional(gitRule),
  esimGo: optional(esimGoRule),
  s3: optional(s3Rule),
  supabase: optional(supabaseRule),
};

/** The topologies of the given options, by the names of these. */
export function emulatedTopologies(
  options: ResolvedEmulatedOptions & { readonly clock: Clock },
  env: Environment,
): Readonly<Record<string, ServerTopology<unknown> | undefined>> {
  const { upstream, dns, tls, git, esimGo, s3, supabase, clock } = options;
  return {
    upstream: upstream && upstreamTopology(upstream, env),
    dns: dns && dnsTopology(dns, env),
    tls: tls && tlsTopology(tls, clock, env),
    git: git && gitTopology(git, env),
    esimGo: esimGo && esimGoTopology(esimGo, env),
    s3: s3 && s3Topology(s3, env),
    supabase: supabase && supabaseTopology(supabase, env),
  };
}
