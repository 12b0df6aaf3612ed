import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';

/** What happens to a connection amid a body. */
export type Break =
  | 'reset'
  /** The body's bytes are no longer taken, or no longer arrive. */
  | 'stall'
  /** The end of the connection without the rest of the body. */
  | 'end'
  /** A response to a request whose body is still under way, which nobody reads to its end. */
  | 'early response'
  | 'early response and end';

interface Plan {
  /** `undefined`: the bytes go on. */
  readonly how: Break | undefined;
  readonly direction: 'toServer' | 'toClient';
  /** Where: after so many bytes of one request or response. */
  readonly afterBytes: number;
  /** Called there. */
  readonly onReached: () => void;
}

export interface BreakingProxy {
  readonly url: string;
  /** What happens to one of the requests and responses that begin from now on. */
  plan: Plan | undefined;
  /** Ends every connection, so that none of them counts. */
  endConnections(): void;
  close(): Promise<void>;
}

const EARLY = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}';

/** A proxy that breaks one connection at a time amid a body. */
export async function openBreakingProxy(target: string): Promise<BreakingProxy> {
  const { port } = new URL(target);
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), '127.0.0.1');
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined).on('close', () => open.delete(socket));
    }
    const seen = { toServer: 0, toClient: 0 };
    const pass = (from: Socket, to: Socket, direction: Plan['direction']): void => {
      const other = direction === 'toServer' ? 'toClient' : 'toServer';
      let plan: Plan | undefined;
      from.on('data', (bytes) => {
        // What is left of an earlier request is not what the plan is for.
        if (seen[direction] === 0) ({ plan } = proxy);
        seen[direction] += bytes.byteLength;
        seen[other] = 0;
        const isReached =
          plan !== undefined &&
          plan === proxy.plan &&
          plan.direction === direction &&
          seen[direction] >= plan.afterBytes;
        if (isReached) proxy.plan = undefined;
        if (isReached && plan?.how !== undefined) breakOff(plan.how, client, upstream);
        else if (!to.write(bytes)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        if (isReached) plan?.onReached();
      });
      from.on('end', () => to.end());
      from.on('close', () => to.destroy());
    };
    pass(client, upstream, 'toServer');
    pass(upstream, client, 'toClient');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on no port');
  const proxy: BreakingProxy = {
    url: `http://127.0.0.1:${address.port}`,
    plan: undefined,
    endConnections() {
      for (const socket of open) socket.destroy();
    },
    async close() {
      proxy.endConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}

function breakOff(how: Break, client: Socket, upstream: Socket): void {
  client.pause();
  upstream.pause();
  if (how === 'stall') return;
  if (how === 'reset') client.resetAndDestroy();
  else if (how === 'end') client.end();
  else if (how === 'early response') client.write(EARLY);
  else client.end(EARLY);
}
