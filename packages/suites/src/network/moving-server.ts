import { createFaultProxy } from '@holdfast/faults';
import { type Resolver, createResolver } from '@holdfast/network';
import { openStage } from '@holdfast/stage';
import { a } from './name-servers.ts';

/** A server behind a name whose address can change: two proxies on loopback addresses, and a name server. */
export interface MovingServer {
  readonly hostname: string;
  readonly port: number;
  readonly resolver: Resolver;
  /** The connections that the server has at its new address. */
  connectionsAfterMove(): number;
  /** The name leads to the other address, and nothing listens at the old one any more. */
  move(): Promise<void>;
  close(): Promise<void>;
}

const OLD = '127.0.0.2';
const NEW = '127.0.0.3';

export async function openMovingServer(target: {
  readonly host: string;
  readonly port: number;
}): Promise<MovingServer> {
  const hostname = 'server.test';
  const stage = await openStage({
    mode: 'local',
    dns: { records: [a(hostname, OLD, 1)] },
  });
  const { dns } = stage;
  const to = { host: target.host, port: target.port };
  const before = await createFaultProxy({ target: to, listen: { host: OLD, port: 0 } });
  const { port } = before;
  const after = await createFaultProxy({ target: to, listen: { host: NEW, port } });
  const resolver = createResolver({ nameservers: [dns.server], hostsFile: false });
  return {
    hostname,
    port,
    resolver,
    connectionsAfterMove: () => after.getStats().connectionsTotal,
    async move() {
      await dns.serve([a(hostname, NEW, 1)]);
      await before.close();
    },
    async close() {
      await resolver.close();
      await Promise.all([before.close(), after.close()]);
      await stage.close();
    },
  };
}
