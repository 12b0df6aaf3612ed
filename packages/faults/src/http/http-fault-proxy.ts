import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { type Clock, objectWith, integer, parseOptions, systemClock } from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { ProxyClosedError, ProxyListenError } from '../errors.ts';
import { type ProxyAddresses, addressShape, refuseRemote } from '../proxy/addresses.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { faultyExchange } from './faulty-exchange.ts';
import { type HttpFaultKind, type HttpFaults, parseHttpFault } from './http-faults.ts';
import { createHttpStrikes } from './http-strikes.ts';

export interface HttpFaultProxyOptions extends ProxyAddresses {
  /** The longest body that a fault can break; a longer one is answered by RST. Default 16 MiB. */
  maxBodyBytes?: number;
  clock?: Clock;
}

export interface HttpFaultProxyStats {
  readonly seed: number;
  readonly requestsTotal: number;
  /** Answered by RST, because the server or the client went away or a body was too long. */
  readonly requestsBroken: number;
  readonly injected: Readonly<Partial<Record<HttpFaultKind, number>>>;
}

/** Stands before an HTTP server and breaks its answers. Put a {@link FaultProxy} before it for the rest. */
export interface HttpFaultProxy {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly faults: {
    /** In force from the next request on. @throws InvalidOptionError, ProxyClosedError */
    set<Kind extends HttpFaultKind>(
      kind: Kind,
      ...options: object extends HttpFaults[Kind]
        ? [options?: HttpFaults[Kind]]
        : [options: HttpFaults[Kind]]
    ): void;
    clear(kind: HttpFaultKind): void;
    list(): readonly HttpFaultKind[];
  };
  /** Clears every fault; requests under way end as they began. */
  heal(): void;
  getStats(): HttpFaultProxyStats;
  /** Which requests chance has struck and spared; equal for equal seeds. */
  decisions(): Decisions;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const shape = {
  ...addressShape,
  maxBodyBytes: integer({ min: 1, max: 1_073_741_824, default: 16_777_216 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError, RemoteTargetError, ProxyListenError */
export async function createHttpFaultProxy(
  options: HttpFaultProxyOptions,
): Promise<HttpFaultProxy> {
  const settled = parseOptions('createHttpFaultProxy', shape, options);
  const { target, seed } = settled;
  refuseRemote(target, settled.allowRemote);
  const log = createDecisionLog();
  const strikes = createHttpStrikes(seed, log);
  let requestsBroken = 0;

  const server = createServer((incoming, outgoing) => {
    faultyExchange(incoming, outgoing, strikes.draw(), settled).catch(() => {
      requestsBroken += 1;
      // The reason is the server's or the client's own; what the client feels is the connection's end.
      resetSocket(incoming.socket);
    });
  });
  server.maxConnections = settled.maxConnections;
  const port = await listening(server, settled.listen);

  let closing: Promise<unknown> | undefined;
  const close = async (): Promise<void> => {
    if (closing === undefined) {
      closing = once(server, 'close');
      server.close();
      server.closeAllConnections();
    }
    await closing;
  };

  const listeningHost = settled.listen.host;
  const authority = listeningHost.includes(':') ? `[${listeningHost}]` : listeningHost;
  return {
    host: listeningHost,
    port,
    url: `http://${authority}:${port}`,
    faults: {
      set(kind, ...[given]) {
        if (closing !== undefined) throw new ProxyClosedError();
        strikes.set(kind, parseHttpFault(kind, given));
      },
      clear: (kind) => strikes.clear(kind),
      list: () => strikes.list(),
    },
    heal: () => strikes.clearAll(),
    getStats: () => ({
      seed,
      requestsTotal: strikes.requestsTotal(),
      requestsBroken,
      injected: strikes.struck(),
    }),
    decisions: () => log.read(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listening(server: Server, at: { host: string; port: number }): Promise<number> {
  server.listen(at);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new ProxyListenError(at.host, at.port, cause);
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : at.port;
}
