import { type Socket, connect } from 'node:net';
import type { Clock } from '@holdfast/foundation';
import { dropSocket } from '../proxy/drop-socket.ts';
import { createListener } from '../proxy/listener.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { type ProtocolFilter, type ConnectionIo, relay } from '../proxy/relay.ts';

/** What the proxies that speak a server's protocol have in common. */
export interface ProtocolProxyStats {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** Answered by RST: the server did not accept, there were too many, or what passed was not its protocol. */
  readonly connectionsBroken: number;
}

export interface ProtocolProxy {
  readonly host: string;
  readonly port: number;
  /** The connections that are open. */
  connections(): readonly ConnectionIo[];
  getStats(): ProtocolProxyStats;
  close(): Promise<void>;
}

export interface ProtocolProxyDeps {
  readonly target: { readonly host: string; readonly port: number };
  readonly listen: { host: string; port: number };
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
  /** @param connection its number, from 1. */
  readonly filterFor: (connection: number, line: ConnectionIo) => ProtocolFilter;
}

/** @throws ProxyListenError */
export async function openProtocolProxy(setting: ProtocolProxyDeps): Promise<ProtocolProxy> {
  const { target, clock, maxConnections, filterFor } = setting;
  const lines = new Map<Socket, ConnectionIo | undefined>();
  let connectionsTotal = 0;
  let connectionsBroken = 0;
  let isClosed = false;

  const onBroken = (): void => void (connectionsBroken += 1);
  const accept = (client: Socket): void => {
    client.on('error', () => {});
    if (isClosed || lines.size >= maxConnections) {
      onBroken();
      resetSocket(client);
      return;
    }
    connectionsTotal += 1;
    const number = connectionsTotal;
    lines.set(client, undefined);
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const refuse = (): void => {
      onBroken();
      server.destroy();
      resetSocket(client);
    };
    const timer = clock.schedule(setting.dialTimeoutMs, refuse);
    server.once('error', refuse);
    client.once('close', () => {
      timer.cancel();
      lines.delete(client);
      server.destroy();
    });
    server.once('connect', () => {
      timer.cancel();
      server.off('error', refuse);
      lines.set(
        client,
        relay(client, server, (line) => filterFor(number, line), onBroken),
      );
    });
  };

  const listener = await createListener(setting.listen, accept);
  return {
    host: listener.host,
    port: listener.port,
    connections: () => [...lines.values()].filter((line) => line !== undefined),
    getStats: () => ({ connectionsOpen: lines.size, connectionsTotal, connectionsBroken }),
    async close() {
      isClosed = true;
      await listener.close();
      await Promise.all([...lines.keys()].map(dropSocket));
    },
  };
}
