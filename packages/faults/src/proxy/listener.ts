import { type Server, type Socket, connect, createServer } from 'node:net';
import { ProxyListenError } from '../errors.ts';
import { type HeldServer, hangConnects } from '../host/connect-hang.ts';
import { resetSocket } from './reset-socket.ts';

interface ListenerOptions {
  readonly host: string;
  /** With 0, a free port is chosen and kept. */
  readonly port: number;
  readonly holdsProcess?: boolean;
}

/** @throws ProxyListenError */
export async function createListener(
  options: ListenerOptions,
  onConnection: (client: Socket) => void,
): Promise<Listener> {
  const listener = new Listener(options, onConnection);
  await listener.open();
  return listener;
}

/** An address that can refuse connections and accept them again, and keeps its port meanwhile. */
export class Listener {
  readonly host: string;
  #port: number;
  readonly #holdsProcess: boolean;
  readonly #onConnection: (client: Socket) => void;
  #wanted: 'open' | 'shut' | 'closed' = 'open';
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
        this.#wanted === 'open' && this.#server === undefined
          ? this.#listen({ host: this.host, port: this.#port })
          : undefined;
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

  #listen(on: Server | { host: string; port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
      const server = createServer(options, this.#onConnection);
      this.#server = server;
      if (!this.#holdsProcess) server.unref();
      server.once('error', (cause) => {
        this.#server = undefined;
        reject(new ProxyListenError(this.host, this.#port, cause));
      });
      server.listen(on, () => {
        const address = server.address();
        if (typeof address === 'object' && address !== null) this.#port = address.port;
        // It may have been shut before it listened.
        if (this.#wanted === 'open') this.#releaseKeeper();
        else this.#stop();
        resolve();
      });
    });
  }

  #stop(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#releaseKeeper();
    if (this.#wanted === 'closed') return;
    // A socket connected to itself keeps the port: connections are refused, since nothing listens, and the system
    // assigns the port to nobody who asks for a free one. Where the host forbids this, it may.
    const { host } = this;
    this.#portHolder = connect({
      host,
      port: this.#port,
      localAddress: host,
      localPort: this.#port,
    });
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
