import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { type HeldServer, hangConnects } from '../host/connect-hang.ts';
import { type ProxyAddress, listenOn } from './addresses.ts';
import { resetSocket } from './reset-socket.ts';

interface ListenerOptions {
  readonly host: string;
  /** With 0, a free port is chosen and kept. */
  readonly port: number;
  readonly holdsProcess?: boolean;
  /** False: it refuses, and takes the address only in `open`. Default true. */
  readonly opens?: boolean;
}

/** @throws ProxyListenError */
export async function createListener(
  options: ListenerOptions,
  onConnection: (client: Socket) => void,
): Promise<Listener> {
  const listener = new Listener(options, onConnection);
  if (options.opens !== false) await listener.open();
  return listener;
}

/** An address that can refuse connections and accept them again, and keeps its port meanwhile. */
export class Listener {
  readonly host: string;
  #port: number;
  /** What was bound first, and is bound again. */
  #bound: ProxyAddress | undefined;
  readonly #holdsProcess: boolean;
  readonly #onConnection: (client: Socket) => void;
  #wanted: 'open' | 'shut' | 'closed' = 'shut';
  /** Listening, or about to. */
  #server: Server | undefined;
  /** Keeps the port while nothing listens. */
  #portHolder: Socket | undefined;
  #opening = Promise.resolve();
  /** Takes the listening socket back from the process that lets connects hang. */
  #takeBack: (() => Promise<HeldServer>) | undefined;

  constructor(
    { host, port, holdsProcess = true }: ListenerOptions,
    onConnection: (client: Socket) => void,
  ) {
    this.host = host;
    this.#port = port;
    this.#holdsProcess = holdsProcess;
    this.#onConnection = onConnection;
  }

  get port(): number {
    return this.#port;
  }

  /** The numeric address it has, once it has listened. */
  get bound(): ProxyAddress | undefined {
    return this.#bound;
  }

  /** Resolves when it accepts connections. @throws ProxyListenError */
  open(): Promise<void> {
    this.#wanted = 'open';
    const held = this.#takeHeldServer();
    if (held !== undefined) {
      this.#opening = held.then(async ({ server, ended }) => {
        await this.#listen(server);
        await ended;
      });
    } else if (this.#server === undefined) {
      const listenAgain = (): Promise<void> | undefined =>
        this.#wanted === 'open' && this.#server === undefined ? this.#listen() : undefined;
      // An earlier failure was reported to the caller that waited for it.
      this.#opening = this.#opening.catch(() => {}).then(listenAgain);
    }
    return this.#opening;
  }

  /** Refuses connections at once; open ones continue. */
  refuseConnections(): void {
    if (this.#wanted !== 'open') return;
    this.#wanted = 'shut';
    const held = this.#takeHeldServer();
    if (held !== undefined) this.#opening = held.then((server) => this.#drop(server));
    else if (this.#server?.listening === true) this.#stop();
  }

  /** Lets connects hang until `open`, `shut` or `close`. @throws HostFaultUnavailableError with the reason */
  async hang(): Promise<void> {
    await this.#opening;
    if (this.#wanted !== 'open' || this.#server === undefined || this.#takeBack !== undefined)
      return;
    this.#takeBack = await hangConnects(this.#server);
    this.#server = undefined;
  }

  /** Resolves when the address is released. */
  async close(): Promise<void> {
    this.#wanted = 'closed';
    const held = this.#takeHeldServer();
    if (held !== undefined) await held.then((server) => this.#drop(server));
    else if (this.#server === undefined || this.#server.listening) this.#stop();
  }

  /** @param held a server that listens already. */
  async #listen(held?: Server): Promise<void> {
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    const server = createServer(options, this.#onConnection);
    this.#server = server;
    if (!this.#holdsProcess) server.unref();
    try {
      if (held === undefined) {
        this.#bound = await listenOn(server, this.#bound ?? { host: this.host, port: this.#port });
        this.#port = this.#bound.port;
      } else {
        server.listen(held);
        await once(server, 'listening');
      }
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
    // A connection that the system could not accept, for lack of descriptors, is the client's failure alone.
    server.on('error', () => {});
    // It may have been shut before it listened.
    if (this.#wanted === 'open') this.#releaseKeeper();
    else this.#stop();
  }

  #stop(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#releaseKeeper();
    if (this.#wanted === 'closed' || this.#bound === undefined) return;
    // A socket connected to itself keeps the port: connections are refused, since nothing listens, and the system
    // assigns the port to nobody who asks for a free one. Where the host forbids this, it may.
    const { host, port } = this.#bound;
    this.#portHolder = connect({ host, port, localAddress: host, localPort: port });
    this.#portHolder.on('error', () => {});
    this.#portHolder.unref();
  }

  #releaseKeeper(): void {
    // Closed in order, it would keep the port in TIME_WAIT for a minute.
    if (this.#portHolder !== undefined) resetSocket(this.#portHolder);
    this.#portHolder = undefined;
  }

  #takeHeldServer(): Promise<HeldServer> | undefined {
    const held = this.#takeBack?.();
    this.#takeBack = undefined;
    return held;
  }

  async #drop({ server, ended }: HeldServer): Promise<void> {
    server.close();
    this.#stop();
    await ended;
  }
}
