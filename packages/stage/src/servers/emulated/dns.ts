import type { Resolver } from 'node:dns/promises';
import type { DnsFault, DnsQuery, LookupFunction, ResolverTimeouts } from '@holdfast/emulators';
import {
  createResolver,
  type DnsSettings,
  lookupBy,
  parseDnsSettings,
  probeDns,
} from '@holdfast/emulators/programs';
import type { OptionRule } from '@holdfast/foundation';
import type { DnsRecord } from '@holdfast/protocols/dns';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Environment } from '../../system/executable.ts';
import type { ServerTopology } from '../../topology/topology.ts';
import { emulatedRule, emulatedServer, replaceSettings } from './emulated-server.ts';

/**
 * A DNS server over UDP and TCP. Records and faults survive a restart; the counts of faults and the queries do
 * not.
 */
export interface Dns extends ServerHandle {
  /** `address:port`, as `Resolver.setServers` takes it. */
  readonly server: string;
  /** Replaces all records. @throws InvalidOptionError; StageStateError while it does not run */
  serve(records: readonly DnsRecord[]): Promise<void>;
  /**
   * Replaces all faults; an empty list heals.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFaults(faults: readonly DnsFault[]): Promise<void>;
  /** The queries that it has received, the newest 10 000. */
  queries(): Promise<readonly DnsQuery[]>;
  /** Forgets the queries so far. */
  forgetQueries(): Promise<void>;
  /** Node's own resolver, with this server alone. */
  resolver(timeouts?: ResolverTimeouts): Resolver;
  /** For every `lookup` option: net, tls, http, undici, ioredis, pg. */
  readonly lookup: LookupFunction;
}

/** `true`: a server without records. */
export const dnsRule: OptionRule<DnsSettings> = emulatedRule(parseDnsSettings);

export function dnsTopology(settings: DnsSettings, env: Environment): ServerTopology<Dns> {
  return emulatedServer(
    {
      name: 'dns',
      program: 'dns',
      settings,
      // One port for UDP and TCP alike, which a bridge does not publish.
      network: 'machine',
      scheme: 'dns',
      isDatagram: true,
      probe: probeDns,
      configureExisting: replaceSettings('dns', settings),
      api({ host, port }, client) {
        const server = `${host}:${port}`;
        return {
          server,
          serve: (records: readonly DnsRecord[]) =>
            client.change('serve', (present) =>
              parseDnsSettings('dns.serve', { ...present, records }),
            ),
          setFaults: (faults: readonly DnsFault[]) =>
            client.change('setFaults', (present) =>
              parseDnsSettings('dns.setFaults', { ...present, faults }),
            ),
          queries: () => client.readRecords<DnsQuery>('queries'),
          forgetQueries: () => client.clearRecords('forgetQueries'),
          resolver: (timeouts?: ResolverTimeouts) => createResolver(server, timeouts),
          lookup: lookupBy(server),
        };
      },
    },
    env,
  );
}
