import { type Socket, connect } from 'node:net';
import { type Clock, objectWith, integer, parseOptions, systemClock } from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { ProxyClosedError } from '../errors.ts';
import { FaultInjector } from '../fault-injector.ts';
import { type ProxyAddresses, addressShape, refuseRemote, urlOf } from '../proxy/addresses.ts';
import { dialResult } from '../proxy/dial.ts';
import { dropSocket } from '../proxy/drop-socket.ts';
import { createListener } from '../proxy/listener.ts';
import { resetSocket } from '../proxy/reset-socket.ts';
import { DrawnHttpFaults } from './drawn-http-faults.ts';
import { HttpConnection } from './http-connection.ts';
import {
  type HttpFaultKind,
  type HttpFaults,
  type ResolvedHttpFault,
  hiddenHttpFaults,
  httpFaultKinds,
  parseHttpFault,
} from './http-faults.ts';

/** Options of `createHttpFaultProxy`. */
export interface HttpFaultProxyOptions extends ProxyAddresses {
  /** The longest body that a fault can change; a longer one is answered by RST. Default 16 MiB. */
  maxBodyBytes?: number;
  /** How long the server may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What an HTTP fault proxy has seen and done, read at any time. */
export interface HttpFaultProxyStats {
  readonly seed: number;
  readonly requestsTotal: number;
  /** Requests answered by RST because the server or the client closed, or a body was too long. */
  readonly requestsBroken: number;
  readonly injected: Readonly<Partial<Record<HttpFaultKind, number>>>;
}

/**
 * A proxy in front of an HTTP server that breaks its responses. Without a fault every byte of both sides passes as it
 * was sent, also 1xx responses, trailers and upgrades; what is not HTTP/1 passes unread. For network faults put a
 * {@link FaultProxy} in front of it.
 */
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
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Stands between a client and an HTTP server, and answers, delays, cuts or damages what the server would.
 * @throws InvalidOptionError, RemoteTargetError, ProxyListenError
 */
export async function createHttpFaultProxy(given: HttpFaultProxyOptions): Promise<HttpFaultProxy> {
  const options = parseOptions('createHttpFaultProxy', shape, given);
  const { seed } = options;
  refuseRemote(options.target, options.allowRemote);
  const log = createDecisionLog();
  const injector = new FaultInjector<HttpFaultKind, ResolvedHttpFault>(httpFaultKinds, {
    seed,
    log,
    hides: hiddenHttpFaults,
  });
  let requestsTotal = 0;
  let requestsBroken = 0;

  const clients = new Map<Socket, Socket>();
  const accept = async (client: Socket): Promise<void> => {
    client.on('error', () => {});
    if (clients.size >= options.maxConnections) {
      resetSocket(client);
      return;
    }
    const { target, clock, dialTimeoutMs: timeoutMs } = options;
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    clients.set(client, upstream);
    client.once('close', () => clients.delete(client));
    const dialed = dialResult(client, upstream, { clock, timeoutMs, event: 'connect' });
    const isDialed = dialed.then((result) => {
      if (result !== 'connected') throw new Error('the server did not accept');
    });
    const unanswered = new DrawnHttpFaults();
    const draw = () => unanswered.add(injector.draw([(requestsTotal += 1)]));
    const deps = { ...options, draw, onFelt: unanswered.felt };
    const connection = new HttpConnection(client, upstream, isDialed, deps);
    try {
      await connection.run();
    } catch {
      // The client sees the end of the connection; the reason is the server's or the client's own.
      upstream.destroy();
      resetSocket(client);
    }
    unanswered.unfelt();
    if (connection.isBroken) requestsBroken += 1;
  };
  const listener = await createListener(options.listen, (client) => void accept(client));
  const { host, port } = listener;
  let closing: Promise<unknown> | undefined;
  const close = async (): Promise<void> => {
    closing ??= listener.close();
    await closing;
    await Promise.all([...clients].flat().map(dropSocket));
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
