import type { Resolver } from 'node:dns/promises';
import type { OptionRule } from '@holdfast/foundation';
import { type ServerTopology, singleServer } from '../../topology/topology.ts';
import { imageOf } from '../../images.ts';
import { locateNode, nodeServer } from './emulated-server.ts';
import { createControlClient, putSettings } from './control-client.ts';
import type { Environment } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import type { DnsFault, DnsQuery, LookupFunction, ResolverTimeouts } from '@holdfast/emulators';
import {
  probeDns,
  type DnsSettings,
  lookupBy,
  parseDnsSettings,
  createResolver,
} from '@holdfast/emulators/programs';
import type { DnsRecord } from '@holdfast/protocols/dns';

/**
 * A DNS server over UDP and TCP. Records and faults outlast a restart; how often a fault has struck, and
 * what was asked, do not.
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
  /** What it was asked, the newest 10 000 queries. */
  queries(): Promise<readonly DnsQuery[]>;
  /** Forgets what it was asked so far. */
  forgetQueries(): Promise<void>;
  /** Node's own resolver, asking this server alone. */
  resolver(patience?: ResolverTimeouts): Resolver;
  /** For whatever takes a `lookup`: net, tls, http, undici, ioredis, pg. */
  readonly lookup: LookupFunction;
}

/** `true` stands for one that knows no name. */
export const dnsRule: OptionRule<DnsSettings> = {
  permitted: 'true or an object',
  parse: (value, field, owner) => parseDnsSettings(owner, value === true ? {} : value, field),
};

export function dnsTopology(settings: DnsSettings, env: Environment): ServerTopology<Dns> {
  const solo = singleServer({
    compose: { available: true, services: ['dns'] },
    docker: { available: true, images: [imageOf('node', env)] },
    locate: locateNode,
    cast: (address) =>
      nodeServer(
        {
          name: 'dns',
          program: 'dns',
          settings,
          // Its own port for UDP and TCP alike, which a bridge does not publish.
          network: 'machine',
          url: ({ host, port }) => `dns://${host}:${port}`,
          probe: probeDns,
          async adopt(at, signal) {
            await putSettings('dns', at, settings, signal);
          },
        },
        address,
        env,
      ),
  });
  return {
    ...solo,
    isDatagram: true,
    toHandle(handles, context) {
      const handle = solo.toHandle(handles, context);
      const steering = createControlClient(handle, settings, context);
      const server = `${handle.host}:${handle.port}`;
      return Object.assign(handle, {
        server,
        serve: (records: readonly DnsRecord[]) =>
          steering.change('serve', (now) => parseDnsSettings('dns.serve', { ...now, records })),
        setFaults: (faults: readonly DnsFault[]) =>
          steering.change('setFaults', (now) =>
            parseDnsSettings('dns.setFaults', { ...now, faults }),
          ),
        async queries() {
          return queriesIn(await steering.readLog('queries'));
        },
        forgetQueries: () => steering.clearLog('forgetQueries'),
        resolver: (patience?: ResolverTimeouts) => createResolver(server, patience),
        lookup: lookupBy(server),
      });
    },
  };
}

/** Both ends are this package's own, so the list is what the program wrote. */
function queriesIn(said: unknown): readonly DnsQuery[] {
  return Array.isArray(said) ? said : [];
}
