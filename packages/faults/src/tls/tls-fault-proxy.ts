import { type Socket, connect as connectPlain } from 'node:net';
import { type Server, type TLSSocket, connect as connectSecurely, createServer } from 'node:tls';
import {
  type Clock,
  type ResolvedOptions,
  objectWith,
  integer,
  oneOf,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  hostnamesRule,
} from '../certificates/certificate-authority.ts';
import {
  type TlsFaultKind,
  type TlsServerOptions,
  tlsFaultKinds,
  tlsServerOptions,
} from '../certificates/tls-server-options.ts';
import { ProxyClosedError } from '../errors.ts';
import { type ProxyAddresses, addressShape, refuseRemote } from '../proxy/addresses.ts';
import { dialResult } from '../proxy/dial.ts';
import { dropSocket } from '../proxy/drop-socket.ts';
import { createListener } from '../proxy/listener.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { relay } from '../proxy/relay.ts';
import { renegotiate } from './renegotiate.ts';
import { type TlsTarget, targetTlsRule } from './tls-target.ts';

/**
 * A fault of the proxy's certificate or protocol, or `renegotiated`: TLS 1.2 only, and a client is asked to renegotiate
 * before it gets a response. Node's clients do; one that refuses gets an alert.
 */
export type TlsProxyFaultKind = TlsFaultKind | 'renegotiated';

/** Every fault of a TLS proxy. */
export const tlsProxyFaultKinds: readonly TlsProxyFaultKind[] = [...tlsFaultKinds, 'renegotiated'];

/** Options of `createTlsFaultProxy`. */
export interface TlsFaultProxyOptions extends ProxyAddresses {
  /** How to connect to a target with TLS. Default: without TLS. */
  targetTls?: TlsTarget;
  /** The names and addresses the proxy's certificate is valid for. Default `localhost`, `127.0.0.1`, `::1`. */
  hostnames?: readonly string[];
  /** The authority that signs it. Default: a new one. */
  authority?: CertificateAuthority;
  /** How long a handshake may take, and how long the target may take to accept. Default 30 000. */
  dialTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What a TLS fault proxy has seen and done, read at any time. */
export interface TlsFaultProxyStats {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** The target did not accept, or there were too many. */
  readonly connectionsRefused: number;
  /** Handshakes that failed; a client may also reject a certificate after its own handshake. */
  readonly handshakesFailed: number;
  /** Clients that renegotiated. */
  readonly renegotiated: number;
}

/**
 * A proxy in front of a server that speaks TLS with clients: with a certificate valid for those who trust its
 * authority, or wrong in the one way that is set. The server may see an empty connection of a client that then
 * closes.
 */
export interface TlsFaultProxy {
  readonly host: string;
  readonly port: number;
  /** What a client passes as `ca` to trust the proxy while no fault is set. */
  readonly ca: string;
  readonly faults: {
    /** Sets the fault of new connections, in place of an earlier one. @throws InvalidOptionError, ProxyClosedError */
    set(kind: TlsProxyFaultKind): void;
    /** Returns the fault that is set. */
    current(): TlsProxyFaultKind | undefined;
  };
  /** Replaces the certificate by an equivalent one; open connections continue. @throws ProxyClosedError */
  rotate(): void;
  /** Clears the fault. */
  heal(): void;
  getStats(): TlsFaultProxyStats;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const shape = {
  ...addressShape,
  targetTls: targetTlsRule,
  hostnames: { ...hostnamesRule, defaultValue: () => ['localhost', '127.0.0.1', '::1'] },
  authority: optional(objectWith<CertificateAuthority>(['certificate', 'issue'])),
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};
const kindShape = { kind: oneOf(tlsProxyFaultKinds) };

/**
 * Stands between a client and a server, and presents a certificate or a protocol that is wrong in one way.
 * @throws InvalidOptionError, RemoteTargetError, ProxyListenError
 */
export async function createTlsFaultProxy(given: TlsFaultProxyOptions): Promise<TlsFaultProxy> {
  const options = parseOptions('createTlsFaultProxy', shape, given);
  refuseRemote(options.target, options.allowRemote);
  const authority = options.authority ?? createCertificateAuthority({ clock: options.clock });
  const server = new TlsProxyServer(options, authority);
  const listener = await createListener(options.listen, (socket) => server.accept(socket));
  const assertOpen = (): void => {
    if (server.isClosed) throw new ProxyClosedError();
  };
  const close = async (): Promise<void> => {
    server.isClosed = true;
    await listener.close();
    await server.drop();
  };
  return {
    host: listener.host,
    port: listener.port,
    ca: authority.certificate,
    faults: {
      set(kind) {
        assertOpen();
        server.setFault(parseOptions('faults.set', kindShape, { kind }).kind);
      },
      current: () => server.fault,
    },
    rotate() {
      assertOpen();
      server.setFault(server.fault);
    },
    heal: () => server.setFault(undefined),
    getStats: () => server.getStats(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Client {
  readonly socket: Socket;
  /** It connected while clients were asked to renegotiate. */
  readonly isRenegotiated: boolean;
  secure?: TLSSocket;
}

/** Accepts TLS connections with the certificate of the fault that is set, and relays them to the target. */
class TlsProxyServer {
  readonly #options: ResolvedOptions<typeof shape>;
  readonly #authority: CertificateAuthority;
  readonly #server: Server;
  /** The clients by their address. */
  readonly #clients = new Map<string, Client>();
  readonly #stats = {
    connectionsTotal: 0,
    connectionsRefused: 0,
    handshakesFailed: 0,
    renegotiated: 0,
  };
  #fault: TlsProxyFaultKind | undefined;
  isClosed = false;

  constructor(options: ResolvedOptions<typeof shape>, authority: CertificateAuthority) {
    this.#options = options;
    this.#authority = authority;
    this.#server = createServer({
      ...this.#serverOptions(),
      allowHalfOpen: true,
      handshakeTimeout: options.dialTimeoutMs,
    });
    this.#server.on('secureConnection', (secure) => void this.#serve(secure));
    this.#server.on('tlsClientError', () => void (this.#stats.handshakesFailed += 1));
  }

  get fault(): TlsProxyFaultKind | undefined {
    return this.#fault;
  }

  /** Shows a new certificate from the next connection on. */
  setFault(fault: TlsProxyFaultKind | undefined): void {
    this.#fault = fault;
    this.#server.setSecureContext(this.#serverOptions());
  }

  accept(socket: Socket): void {
    socket.on('error', () => {});
    if (this.isClosed || this.#clients.size >= this.#options.maxConnections) {
      this.#stats.connectionsRefused += 1;
      resetSocket(socket);
      return;
    }
    this.#stats.connectionsTotal += 1;
    const address = addressOf(socket);
    this.#clients.set(address, { socket, isRenegotiated: this.#fault === 'renegotiated' });
    socket.once('close', () => this.#clients.delete(address));
    this.#server.emit('connection', socket);
  }

  getStats(): TlsFaultProxyStats {
    return { connectionsOpen: this.#clients.size, ...this.#stats };
  }

  async drop(): Promise<void> {
    await Promise.all(
      [...this.#clients.values()].map(({ socket, secure }) => {
        secure?.destroy();
        return dropSocket(socket);
      }),
    );
  }

  #serverOptions(): TlsServerOptions {
    const { hostnames, clock } = this.#options;
    if (this.#fault === undefined) return tlsServerOptions(this.#authority, { hostnames, clock });
    return this.#fault === 'renegotiated'
      ? { ...tlsServerOptions(this.#authority, { hostnames, clock }), maxVersion: 'TLSv1.2' }
      : tlsServerOptions(this.#authority, { hostnames, clock, fault: this.#fault });
  }

  async #serve(secure: TLSSocket): Promise<void> {
    const client = this.#clients.get(addressOf(secure));
    if (client === undefined) {
      secure.destroy();
      return;
    }
    client.secure = secure;
    secure.on('error', () => {});
    secure.pause();
    if (client.isRenegotiated) {
      const { clock, dialTimeoutMs: timeoutMs } = this.#options;
      const result = await renegotiate(secure, client.socket, { clock, timeoutMs });
      if (result === 'failed') {
        this.#stats.handshakesFailed += 1;
        // In a later turn, so that an alert is sent first.
        setImmediate(() => resetSocket(client.socket));
      }
      if (result !== 'renegotiated') return;
      this.#stats.renegotiated += 1;
    }
    await this.#relay(client.socket, secure);
  }

  async #relay(client: Socket, secure: TLSSocket): Promise<void> {
    const { targetTls, clock, dialTimeoutMs: timeoutMs } = this.#options;
    const target = { ...this.#options.target, allowHalfOpen: true };
    const upstream =
      targetTls === undefined
        ? connectPlain({ ...target, noDelay: true })
        : connectSecurely({ ...target, ...targetTls });
    const event = targetTls === undefined ? 'connect' : 'secureConnect';
    const result = await dialResult(client, upstream, { clock, timeoutMs, event });
    if (result === 'refused') {
      this.#stats.connectionsRefused += 1;
      resetSocket(client);
    }
    if (result !== 'connected') return;
    relay(secure, upstream, {
      createFilter: (io) => ({ fromClient: io.toServer, fromServer: io.toClient }),
      resetClient: () => resetSocket(client),
    });
  }
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
