import { type Resolver, type ResolverOptions, createResolver } from '@holdfast/network';
import { type Stage, openStage } from '@holdfast/stage';
import type { DnsRecord } from '@holdfast/protocols/dns';

/** Two name servers with the same records, and what was opened on them. */
export interface NameServersFixture {
  readonly one: Stage<{ dns: true }>['dns'];
  readonly other: Stage<{ dns: true }>['dns'];
  /** A resolver that asks both servers, in this order. Without hosts file and search domains. */
  resolver(options?: ResolverOptions): Resolver;
  /** Serves the records on both servers. */
  serve(...records: readonly DnsRecord[]): Promise<void>;
  /** Heals and empties the servers, and closes the resolvers. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export async function openNameServers(): Promise<NameServersFixture> {
  const stages = await Promise.all([1, 2].map(() => openStage({ mode: 'local', dns: true })));
  const [one, other] = stages.map(({ dns }) => dns);
  if (one === undefined || other === undefined) throw new Error('two servers were asked for');
  const resolvers = new Set<Resolver>();
  const closeResolvers = async (): Promise<void> => {
    await Promise.all([...resolvers].map((resolver) => resolver.close()));
    resolvers.clear();
  };
  return {
    one,
    other,
    resolver(options = {}) {
      const nameservers = [one.server, other.server];
      const resolver = createResolver({ nameservers, hostsFile: false, ...options });
      resolvers.add(resolver);
      return resolver;
    },
    async serve(...records) {
      await Promise.all([one, other].map((server) => server.serve(records)));
    },
    async reset() {
      await closeResolvers();
      for (const server of [one, other]) {
        if (server.state === 'frozen') await server.thaw();
        if (server.state === 'stopped') await server.start();
        await server.setFaults([]);
        await server.serve([]);
        await server.forgetQueries();
      }
    },
    async close() {
      await closeResolvers();
      await Promise.all(stages.map((stage) => stage.close()));
    },
  };
}

export function a(name: string, address: string, ttlSeconds = 60): DnsRecord {
  return { type: 'A', name, address, ttlSeconds };
}
