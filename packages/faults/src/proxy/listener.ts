import { type Server, type Socket, connect, createServer } from 'node:net';
import { ProxyListenError } from '../errors.ts';
import { type Returned, hangConnects } from '../host/connect-hang.ts';
import { resetSocket } from './reset-socket.ts';

/** An address that can refuse connections and accept them again, and never moves meanwhile. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Accepts connections; nothing when it does. @throws ProxyListenError */
  open(): Promise<void>;
  /** Refuses connections, at once; those accepted before live on. */
  shut(): void;
  /** Lets connects hang until `open`, `shut` or `close`. @throws HostFaultUnavailableError with the reason */
  hang(): Promise<void>;
  /** Resolves when nothing is left of it. */
  close(): Promise<void>;
}

/** @param at with port 0, a free one is taken and kept. @throws ProxyListenError */
export async function createListener(
  at: { host: string; port: number; holdsProcess?: boolean },
  onConnection: (client: Socket) => void,
): Promise<Listener> {
  const { host, holdsProcess = true } = at;
  let { port } = at;
  let wanted: 'open' | 'shut' | 'closed' = 'open';
  /** Listening, or about to. */
  let server: Server | undefined;
  let keeper: Socket | undefined;
  let opening = Promise.resolve();
  /** Brings the listening socket back from where connects hang. */
  let bringBack: (() => Promise<Returned>) | undefined;

  const letGo = (): void => {
    // Closed in order, it would keep the port's way to itself for a minute (TIME_WAIT).
    if (keeper !== undefined) resetSocket(keeper);
    keeper = undefined;
  };
  const stop = (): void => {
    server?.close();
    server = undefined;
    letGo();
    if (wanted === 'closed') return;
    // A socket connected to itself holds the port: connections are refused, as nothing listens, and the
    // system gives it to nobody who asks for a free one. Where the host does not allow that, it might.
    keeper = connect({ host, port, localAddress: host, localPort: port });
    keeper.on('error', () => {});
    keeper.unref();
  };
  const listen = (on: Server | { host: string; port: number }): Promise<void> =>
    new Promise((resolve, reject) => {
      const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
      const next = createServer(options, onConnection);
      server = next;
      if (!holdsProcess) next.unref();
      next.once('error', (cause) => {
        server = undefined;
        reject(new ProxyListenError(host, port, cause));
      });
      next.listen(on, () => {
        const address = next.address();
        if (typeof address === 'object' && address !== null) ({ port } = address);
        // It may have been unwanted before it came to listen.
        if (wanted === 'open') letGo();
        else stop();
        resolve();
      });
    });
  const returned = (): Promise<Returned> | undefined => {
    const back = bringBack?.();
    bringBack = undefined;
    return back;
  };
  const drop = async (kept: Returned): Promise<void> => {
    kept.server.close();
    stop();
    await kept.ended;
  };
  const listener: Listener = {
    host,
    get port() {
      return port;
    },
    open() {
      wanted = 'open';
      const back = returned();
      if (back !== undefined) {
        opening = back.then(async (kept) => {
          await listen(kept.server);
          await kept.ended;
        });
      }
      const listenAnew = (): Promise<void> | undefined =>
        wanted === 'open' && server === undefined ? listen({ host, port }) : undefined;
      // What failed before was told to whoever waited for it.
      if (back === undefined && server === undefined) {
        opening = opening.catch(() => {}).then(listenAnew);
      }
      return opening;
    },
    shut() {
      if (wanted !== 'open') return;
      wanted = 'shut';
      const back = returned();
      if (back !== undefined) opening = back.then(drop);
      else if (server?.listening === true) stop();
    },
    async hang() {
      await opening;
      if (wanted !== 'open' || server === undefined || bringBack !== undefined) return;
      bringBack = await hangConnects(server);
      server = undefined;
    },
    async close() {
      wanted = 'closed';
      const back = returned();
      if (back !== undefined) await back.then(drop);
      else if (server === undefined || server.listening) stop();
    },
  };
  await listener.open();
  return listener;
}
