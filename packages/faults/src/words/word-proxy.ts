import { type Socket, connect } from 'node:net';
import type { Clock } from '@holdfast/foundation';
import { dropSocket } from '../proxy/drop-socket.ts';
import { createListener } from '../proxy/listener.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { type Interpreter, type Line, relay } from '../relay/relay.ts';

/** What the proxies that speak a server's protocol have in common. */
export interface WordProxyStats {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** Answered by RST: the server did not accept, there were too many, or what passed was not its protocol. */
  readonly connectionsBroken: number;
}

export interface WordProxy {
  readonly host: string;
  readonly port: number;
  /** The connections that are open. */
  lines(): readonly Line[];
  getStats(): WordProxyStats;
  close(): Promise<void>;
}

export interface WordProxySetting {
  readonly target: { readonly host: string; readonly port: number };
  readonly listen: { host: string; port: number };
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
  /** @param connection its number, from 1. */
  readonly interpreterOf: (connection: number, line: Line) => Interpreter;
}

/** @throws ProxyListenError */
export async function openWordProxy(setting: WordProxySetting): Promise<WordProxy> {
  const { target, clock, maxConnections, interpreterOf } = setting;
  const lines = new Map<Socket, Line | undefined>();
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
        relay(client, server, (line) => interpreterOf(number, line), onBroken),
      );
    });
  };

  const listener = await createListener(setting.listen, accept);
  return {
    host: listener.host,
    port: listener.port,
    lines: () => [...lines.values()].filter((line) => line !== undefined),
    getStats: () => ({ connectionsOpen: lines.size, connectionsTotal, connectionsBroken }),
    async close() {
      isClosed = true;
      await listener.close();
      await Promise.all([...lines.keys()].map(dropSocket));
    },
  };
}
