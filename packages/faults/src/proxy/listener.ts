import { type Server, type Socket, connect, createServer } from 'node:net';
import { ProxyListenError } from '../errors.ts';

/** An address that can refuse connections and accept them again, and never moves meanwhile. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Accepts connections; nothing when it does. @throws ProxyListenError */
  open(): Promise<void>;
  /** Refuses connections, at once; those accepted before live on. */
  shut(): void;
  close(): void;
}

/** @param at with port 0, a free one is taken and kept. @throws ProxyListenError */
export async function createListener(
  at: { host: string; port: number },
  onConnection: (client: Socket) => void,
): Promise<Listener> {
  const { host } = at;
  let { port } = at;
  let server: Server | undefined;
  let keeper: Socket | undefined;
  let opening: Promise<void> | undefined;

  const letGo = (): void => {
    // Closed in order, it would keep the port's way to itself for a minute (TIME_WAIT).
    if (keeper?.connecting === true) keeper.destroy();
    else if (keeper?.destroyed === false) keeper.resetAndDestroy();
    keeper = undefined;
  };
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
      const next = createServer(options, onConnection);
      server = next;
      next.once('error', (cause) => {
        if (server === next) server = undefined;
        reject(new ProxyListenError(host, port, cause));
      });
      next.listen({ host, port }, () => {
        const address = next.address();
        if (typeof address === 'object' && address !== null) ({ port } = address);
        // It may have been shut before it came to listen.
        if (server === next) letGo();
        else next.close();
        resolve();
      });
    });
  const listener: Listener = {
    host,
    get port() {
      return port;
    },
    open() {
      if (server !== undefined) return opening ?? Promise.resolve();
      opening = listen();
      return opening;
    },
    shut() {
      if (server === undefined) return;
      if (server.listening) server.close();
      server = undefined;
      letGo();
      // A socket connected to itself holds the port: connections are refused, as nothing listens, and
      // nobody else can take it. Where the host does not allow that, the port is free for others meanwhile.
      keeper = connect({ host, port, localAddress: host, localPort: port });
      keeper.on('error', () => {});
      keeper.unref();
    },
    close() {
      server?.close();
      server = undefined;
      letGo();
    },
  };
  await listener.open();
  return listener;
}
