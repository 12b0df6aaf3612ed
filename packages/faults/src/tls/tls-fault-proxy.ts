import { type Socket, connect as connectPlain } from 'node:net';
import { type TLSSocket, connect as connectSecurely, createServer } from 'node:tls';
import {
  type Clock,
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
import { dropSocket } from '../proxy/drop-socket.ts';
import { createListener } from '../proxy/listener.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { relay } from '../proxy/relay.ts';
import { renegotiate } from './renegotiate.ts';
import { type TlsTarget, targetTlsRule } from './tls-target.ts';

/**
 * What can be wrong with how the proxy proves itself, or `renegotiated`: TLS 1.2 alone, and a client is asked
 * to negotiate again before anything is answered. Node's clients follow; one that refuses gets an alert.
 */
export type TlsProxyFaultKind = TlsFaultKind | 'renegotiated';

export const tlsProxyFaultKinds: readonly TlsProxyFaultKind[] = [...tlsFaultKinds, 'renegotiated'];

export interface TlsFaultProxyOptions extends ProxyAddresses {
  /** How the target is spoken to. Default: without TLS. */
  targetTls?: TlsTarget;
  /** The names and addresses the proxy's certificate holds for. Default `localhost`, `127.0.0.1`, `::1`. */
  hostnames?: readonly string[];
  /** Who signs it. Default: one of its own. */
  authority?: CertificateAuthority;
  /** How long a handshake may take, and how long the target may take to accept. Default 30 000. */
  dialTimeoutMs?: number;
  clock?: Clock;
}

export interface TlsFaultProxyStats {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** The target did not accept, or there were too many. */
  readonly connectionsRefused: number;
  /** Handshakes that did not come about; a client that refuses a certificate may do so after its own. */
  readonly handshakesFailed: number;
  /** Clients that were asked to negotiate again, and did. */
  readonly renegotiated: number;
}

/**
 * Stands before a server and speaks TLS with its clients: rightly to those who trust its authority, or
 * wrongly in the one way that is set. The server may see a connection of a client that then goes away, and
 * nothing on it.
 */
export interface TlsFaultProxy {
  readonly host: string;
  readonly port: number;
  /** What a client takes as `ca` to trust the proxy while no fault is set. */
  readonly ca: string;
  readonly faults: {
    /** For the connections that begin from now on, in place of the fault before. @throws InvalidOptionError, ProxyClosedError */
    set(kind: TlsProxyFaultKind): void;
    /** The fault that is set. */
    current(): TlsProxyFaultKind | undefined;
  };
  /** Shows another certificate, as good as the one before; open connections live on. @throws ProxyClosedError */
  rotate(): void;
  /** Shows a good certificate again. */
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

/** @throws InvalidOptionError, RemoteTargetError, ProxyListenError */
export async function createTlsFaultProxy(options: TlsFaultProxyOptions): Promise<TlsFaultProxy> {
  const settled = parseOptions('createTlsFaultProxy', shape, options);
  const { target, targetTls, hostnames, clock, dialTimeoutMs } = settled;
  refuseRemote(target, settled.allowRemote);
  const authority = settled.authority ?? createCertificateAuthority({ clock });
  /** Every connection by where it comes from: the socket, and what speaks TLS over it. */
  const clients = new Map<string, Client>();
  const stats = {
    connectionsTotal: 0,
    connectionsRefused: 0,
    handshakesFailed: 0,
    renegotiated: 0,
  };
  let fault: TlsProxyFaultKind | undefined;
  let isClosed = false;

  const settings = (): TlsServerOptions => {
    if (fault === undefined) return tlsServerOptions(authority, { hostnames, clock });
    return fault === 'renegotiated'
      ? { ...tlsServerOptions(authority, { hostnames, clock }), maxVersion: 'TLSv1.2' }
      : tlsServerOptions(authority, { hostnames, clock, fault });
  };
  const server = createServer({
    ...settings(),
    allowHalfOpen: true,
    handshakeTimeout: dialTimeoutMs,
  });
  const change = (next: TlsProxyFaultKind | undefined): void => {
    fault = next;
    server.setSecureContext(settings());
  };

  const dial = (client: Socket, secure: TLSSocket): void => {
    const address = { ...target, allowHalfOpen: true };
    const upstream =
      targetTls === undefined
        ? connectPlain({ ...address, noDelay: true })
        : connectSecurely({ ...address, ...targetTls });
    const reset = (): void => resetSocket(client);
    const refuse = (): void => {
      stats.connectionsRefused += 1;
      upstream.destroy();
      reset();
    };
    const timer = clock.schedule(dialTimeoutMs, refuse);
    upstream.once('error', refuse);
    client.once('close', () => {
      timer.cancel();
      upstream.destroy();
    });
    upstream.once(targetTls === undefined ? 'connect' : 'secureConnect', () => {
      timer.cancel();
      upstream.off('error', refuse);
      relay(
        secure,
        upstream,
        (line) => ({ fromClient: line.toServer, fromServer: line.toClient }),
        () => {},
        reset,
      );
    });
  };
  server.on('secureConnection', (secure) => {
    const client = clients.get(originOf(secure));
    if (client === undefined) {
      secure.destroy();
      return;
    }
    client.secure = secure;
    secure.on('error', () => {});
    secure.pause();
    if (!client.isRenegotiated) {
      dial(client.socket, secure);
      return;
    }
    const giveUp = renegotiate(secure, { clock, limitMs: dialTimeoutMs }, (hasDone) => {
      if (hasDone) {
        stats.renegotiated += 1;
        dial(client.socket, secure);
      } else {
        stats.handshakesFailed += 1;
        // In a turn of its own, so that an alert goes out before.
        setImmediate(() => resetSocket(client.socket));
      }
    });
    client.socket.once('close', giveUp);
  });
  server.on('tlsClientError', () => void (stats.handshakesFailed += 1));

  const listener = await createListener(settled.listen, (socket) => {
    socket.on('error', () => {});
    if (isClosed || clients.size >= settled.maxConnections) {
      stats.connectionsRefused += 1;
      resetSocket(socket);
      return;
    }
    stats.connectionsTotal += 1;
    const origin = originOf(socket);
    clients.set(origin, { socket, isRenegotiated: fault === 'renegotiated' });
    socket.once('close', () => clients.delete(origin));
    server.emit('connection', socket);
  });

  const close = async (): Promise<void> => {
    isClosed = true;
    await listener.close();
    await Promise.all(
      [...clients.values()].map(({ socket, secure }) => {
        secure?.destroy();
        return dropSocket(socket);
      }),
    );
  };
  return {
    host: listener.host,
    port: listener.port,
    ca: authority.certificate,
    faults: {
      set(kind) {
        if (isClosed) throw new ProxyClosedError();
        change(parseOptions('faults.set', kindShape, { kind }).kind);
      },
      current: () => fault,
    },
    rotate() {
      if (isClosed) throw new ProxyClosedError();
      change(fault);
    },
    heal: () => change(undefined),
    getStats: () => ({ connectionsOpen: clients.size, ...stats }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Client {
  readonly socket: Socket;
  /** It came while clients were asked to negotiate again. */
  readonly isRenegotiated: boolean;
  secure?: TLSSocket;
}

function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
