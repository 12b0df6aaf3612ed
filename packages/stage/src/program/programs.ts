import { type Rule, optional } from '@holdfast/resilience';
import { type Dns, dnsEnsemble, dnsRule } from '../dns/dns.ts';
import type { DnsOptions, DnsSettings } from '../dns/settings.ts';
import type { Ensemble } from '../ensemble.ts';
import type { Environment } from '../server-kind.ts';
import type { UpstreamOptions, UpstreamSettings } from '../upstream/settings.ts';
import { type Upstream, upstreamEnsemble, upstreamRule } from '../upstream/upstream.ts';

/** The servers of a stage that are programs of this package. */
export interface ProgramOptions {
  /** An HTTP server that says what it is told to. */
  upstream?: true | UpstreamOptions;
  /** A DNS server that knows what it is told. */
  dns?: true | DnsOptions;
}

/** Which handle each option brings. */
export interface ProgramHandles {
  readonly upstream: Upstream;
  readonly dns: Dns;
}

export interface SettledPrograms {
  readonly upstream: UpstreamSettings | undefined;
  readonly dns: DnsSettings | undefined;
}

/** How the options are read. */
export const programRules: {
  readonly [Name in keyof SettledPrograms]: Rule<SettledPrograms[Name]>;
} = {
  upstream: optional(upstreamRule),
  dns: optional(dnsRule),
};

/** Those that were asked for, by the name of their option. */
export function programEnsembles(
  { upstream, dns }: SettledPrograms,
  env: Environment,
): { readonly name: string; readonly ensemble: Ensemble<unknown> }[] {
  const ensembles: { name: string; ensemble: Ensemble<unknown> }[] = [];
  if (upstream !== undefined) {
    ensembles.push({ name: 'upstream', ensemble: upstreamEnsemble(upstream, env) });
  }
  if (dns !== undefined) ensembles.push({ name: 'dns', ensemble: dnsEnsemble(dns, env) });
  return ensembles;
}
