import { once } from 'node:events';
import { createServer } from 'node:http';
import { type Clock, objectWith, integer, parseOptions, systemClock } from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { ProxyClosedError } from '../errors.ts';
import { FaultInjector } from '../fault-injector.ts';
import {
  type ProxyAddresses,
  addressShape,
  listenOn,
  refuseRemote,
  urlOf,
} from '../proxy/addresses.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { faultyExchange } from './faulty-exchange.ts';
import {
  type HttpFaultKind,
  type HttpFaults,
  type ResolvedHttpFault,
  httpFaultKinds,
  parseHttpFault,
} from './http-faults.ts';

export interface HttpFaultProxyOptions extends ProxyAddresses {
  /** The longest body that a fault can change; a longer one is answered by RST. Default 16 MiB. */
  maxBodyBytes?: number;
  clock?: Clock;
}

export interface HttpFaultProxyStats {
  readonly seed: number;
  readonly requestsTotal: number;
  /** Requests answered by RST because the server or the client closed, or a body was too long. */
  readonly requestsBroken: number;
  readonly injected: Readonly<Partial<Record<HttpFaultKind, number>>>;
}

/** A proxy in front of an HTTP server that breaks its responses. For network faults put a {@link FaultProxy} in front of it. */
export interface HttpFaultProxy {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`, without a trailing slash. */
  readonly url: string;
  readonly faults: {
    /** Takes effect from the next request on. @throws InvalidOptionError, ProxyClosedError */
    set<Kind extends HttpFaultKind>(
      kind: Kind,
      ...options: object extends HttpFaults[Kind]
        ? [options?: HttpFaults[Kind]]
        : [options: HttpFaults[Kind]]
    ): void;
    clear(kind: HttpFaultKind): void;
    list(): readonly HttpFaultKind[];
  };
  /** Clears every fault; a request in progress ends with the faults it began with. */
  heal(): void;
  getStats(): HttpFaultProxyStats;
  /** What was injected and what was spared; equal for equal seeds. */
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
export async function createHttpFaultProxy(given: HttpFaultProxyOptions): Promise<HttpFaultProxy> {
  const options = parseOptions('createHttpFaultProxy', shape, given);
  const { seed } = options;
  refuseRemote(options.target, options.allowRemote);
  const log = createDecisionLog();
  const injector = new FaultInjector<HttpFaultKind, ResolvedHttpFault>(httpFaultKinds, {
    seed,
    log,
  });
  let requestsTotal = 0;
  let requestsBroken = 0;

  const server = createServer((incoming, outgoing) => {
    requestsTotal += 1;
    const drawn = injector.draw([requestsTotal]);
    const faults = new Map(drawn.map(({ kind, fault }) => [kind, fault]));
    faultyExchange(incoming, outgoing, faults, options).catch(() => {
      requestsBroken += 1;
      // The client sees the end of the connection; the reason is the server's or the client's own.
      resetSocket(incoming.socket);
    });
  });
  server.maxConnections = options.maxConnections;
  const { host } = options.listen;
  const port = await listenOn(server, options.listen);

  let closing: Promise<unknown> | undefined;
  const close = async (): Promise<void> => {
    if (closing === undefined) {
      closing = once(server, 'close');
      server.close();
      server.closeAllConnections();
    }
    await closing;
  };
  return {
    host,
    port,
    url: urlOf(host, port),
    faults: {
      set(kind, ...[fault]) {
        if (closing !== undefined) throw new ProxyClosedError();
        injector.set(kind, parseHttpFault(kind, fault));
      },
      clear: (kind) => injector.clear(kind),
      list: () => injector.list(),
    },
    heal: () => injector.clearAll(),
    getStats: () => ({ seed, requestsTotal, requestsBroken, injected: injector.injected() }),
    decisions: () => log.read(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
