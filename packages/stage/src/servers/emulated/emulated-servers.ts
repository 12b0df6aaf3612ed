import { type Clock, type OptionRule, optional } from '@holdfast/foundation';
import { type Dns, dnsEnsemble, dnsRule } from './dns.ts';
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
import type { Ensemble } from '../../topology/topology.ts';
import { type Git, gitEnsemble, gitRule } from './git.ts';
import { type S3, s3Ensemble, s3Rule } from './s3.ts';
import type { Environment } from '../../topology/server-spec.ts';
import { type Supabase, supabaseEnsemble, supabaseRule } from '../supabase/supabase.ts';
import { type TlsForm, type TlsOptions, tlsRule } from './tls-options.ts';
import { type Tls, tlsEnsemble } from './tls.ts';
import { type Upstream, upstreamEnsemble, upstreamRule } from './upstream.ts';

/** The servers of a stage that are programs of this package. */
export interface ProgramOptions {
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
export interface ProgramHandles {
  readonly upstream: Upstream;
  readonly dns: Dns;
  readonly tls: Tls;
  readonly git: Git;
  readonly s3: S3;
  readonly supabase: Supabase;
}

export interface SettledPrograms {
  readonly upstream: UpstreamSettings | undefined;
  readonly dns: DnsSettings | undefined;
  readonly tls: TlsForm | undefined;
  readonly git: GitSettings | undefined;
  readonly s3: S3Settings | undefined;
  readonly supabase: SupabaseSettings | undefined;
}

/** How the options are read. */
export const programRules: {
  readonly [Name in keyof SettledPrograms]: OptionRule<SettledPrograms[Name]>;
} = {
  upstream: optional(upstreamRule),
  dns: optional(dnsRule),
  tls: optional(tlsRule),
  git: optional(gitRule),
  s3: optional(s3Rule),
  supabase: optional(supabaseRule),
};

/** Those that were asked for, by the name of their option. */
export function programEnsembles(
  { upstream, dns, tls, git, s3, supabase, clock }: SettledPrograms & { readonly clock: Clock },
  env: Environment,
): { readonly name: string; readonly ensemble: Ensemble<unknown> }[] {
  const ensembles: { name: string; ensemble: Ensemble<unknown> }[] = [];
  if (upstream !== undefined) {
    ensembles.push({ name: 'upstream', ensemble: upstreamEnsemble(upstream, env) });
  }
  if (dns !== undefined) ensembles.push({ name: 'dns', ensemble: dnsEnsemble(dns, env) });
  if (tls !== undefined) ensembles.push({ name: 'tls', ensemble: tlsEnsemble(tls, clock, env) });
  if (git !== undefined) ensembles.push({ name: 'git', ensemble: gitEnsemble(git, env) });
  if (s3 !== undefined) ensembles.push({ name: 's3', ensemble: s3Ensemble(s3, env) });
  if (supabase !== undefined) {
    ensembles.push({ name: 'supabase', ensemble: supabaseEnsemble(supabase, env) });
  }
  return ensembles;
}
