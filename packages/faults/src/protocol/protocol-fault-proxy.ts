import { type Socket, connect } from 'node:net';
import {
  type Clock,
  type OptionRule,
  integer,
  objectWith,
  systemClock,
} from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { ProxyClosedError } from '../errors.ts';
import { type CountedFault, FaultInjector } from '../fault-injector.ts';
import { type ResolvedProxyAddresses, addressShape, refuseRemote } from '../proxy/addresses.ts';
import { dialResult } from '../proxy/dial.ts';
import { dropSocket } from '../proxy/drop-socket.ts';
import { createListener } from '../proxy/listener.ts';
import { type ConnectionIo, type ProtocolFilter, relay } from '../proxy/relay.ts';
import { resetSocket } from '../proxy/reset-socket.ts';

export interface ProtocolFaultProxyStats<Kind extends string> {
  readonly seed: number;
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** Connections reset because the server did not accept, there were too many, or the bytes were not the protocol. */
  readonly connectionsBroken: number;
  /** How many commands, statements or connections were refused by each error. */
  readonly injected: Readonly<Partial<Record<Kind, number>>>;
}

/** A proxy that refuses requests with a server's own errors. `Errors` has the options of each. */
export interface ProtocolFaultProxy<Errors extends object> {
  readonly host: string;
  readonly port: number;
  readonly faults: {
    /** Takes effect from the next request on. @throws InvalidOptionError, ProxyClosedError */
    set<Kind extends keyof Errors & string>(kind: Kind, options?: Errors[Kind]): void;
    clear(kind: keyof Errors & string): void;
    list(): readonly (keyof Errors & string)[];
  };
  /** Clears every error. */
  heal(): void;
  getStats(): ProtocolFaultProxyStats<keyof Errors & string>;
  /** What was injected and what was spared; equal for equal seeds. */
  decisions(): Decisions;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The options every protocol proxy has, resolved. */
interface ProtocolProxyOptions extends ResolvedProxyAddresses {
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
}

/** Rules for {@link ProtocolProxyOptions}. */
export const protocolProxyShape: typeof addressShape & {
  readonly dialTimeoutMs: OptionRule<number>;
  readonly clock: OptionRule<Clock>;
} = {
  ...addressShape,
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

interface FilterContext {
  /** The number of the connection, from 1. */
  readonly connection: number;
  /** The address of the proxy. */
  readonly self: { readonly host: string; readonly port: number };
}

/** How one protocol is read and its requests are refused. */
interface FaultProtocol<Kind extends string, Fault extends CountedFault> {
  /** In the order in which a request meets them. */
  readonly kinds: readonly Kind[];
  parseFault(kind: Kind, options: unknown): Fault;
  createFilter(
    io: ConnectionIo,
    injector: FaultInjector<Kind, Fault>,
    context: FilterContext,
  ): ProtocolFilter;
}

/** @throws RemoteTargetError, ProxyListenError */
export async function openProtocolFaultProxy<Errors extends object, Fault extends CountedFault>(
  options: ProtocolProxyOptions,
  protocol: FaultProtocol<keyof Errors & string, Fault>,
): Promise<{ proxy: ProtocolFaultProxy<Errors>; connections: () => readonly ConnectionIo[] }> {
  const { seed } = options;
  refuseRemote(options.target, options.allowRemote);
  const log = createDecisionLog();
  const injector = new FaultInjector<keyof Errors & string, Fault>(protocol.kinds, { seed, log });
  const connections = new ProtocolConnections(options, (io, connection) =>
    protocol.createFilter(io, injector, { connection, self: listener }),
  );
  const listener = await createListener(
    options.listen,
    (client) => void connections.accept(client),
  );
  const close = async (): Promise<void> => {
    injector.clearAll();
    connections.isClosed = true;
    await listener.close();
    await connections.drop();
  };
  const proxy: ProtocolFaultProxy<Errors> = {
    host: listener.host,
    port: listener.port,
    faults: {
      set(kind, given) {
        if (connections.isClosed) throw new ProxyClosedError();
        injector.set(kind, protocol.parseFault(kind, given));
      },
      clear: (kind) => injector.clear(kind),
      list: () => injector.list(),
    },
    heal: () => injector.clearAll(),
    getStats: () => ({ seed, ...connections.getStats(), injected: injector.injected() }),
    decisions: () => log.read(),
    close,
    [Symbol.asyncDispose]: close,
  };
  return { proxy, connections: () => connections.relayed() };
}

/** The connections of a protocol proxy: it dials the server for each and relays through a filter. */
class ProtocolConnections {
  readonly #options: ProtocolProxyOptions;
  readonly #createFilter: (io: ConnectionIo, connection: number) => ProtocolFilter;
  readonly #clients = new Map<Socket, ConnectionIo | undefined>();
  #total = 0;
  #broken = 0;
  isClosed = false;

  constructor(
    options: ProtocolProxyOptions,
    createFilter: (io: ConnectionIo, connection: number) => ProtocolFilter,
  ) {
    this.#options = options;
    this.#createFilter = createFilter;
  }

  async accept(client: Socket): Promise<void> {
    const { target, clock, dialTimeoutMs: timeoutMs, maxConnections } = this.#options;
    client.on('error', () => {});
    if (this.isClosed || this.#clients.size >= maxConnections) {
      this.#break(client);
      return;
    }
    this.#total += 1;
    const number = this.#total;
    this.#clients.set(client, undefined);
    client.once('close', () => this.#clients.delete(client));
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const result = await dialResult(client, server, { clock, timeoutMs, event: 'connect' });
    if (result === 'refused') this.#break(client);
    if (result !== 'connected') return;
    const io = relay(client, server, {
      createFilter: (ends) => this.#createFilter(ends, number),
      onFilterError: () => void (this.#broken += 1),
    });
    this.#clients.set(client, io);
  }

  relayed(): readonly ConnectionIo[] {
    return [...this.#clients.values()].filter((io) => io !== undefined);
  }

  getStats(): Omit<ProtocolFaultProxyStats<string>, 'seed' | 'injected'> {
    return {
      connectionsOpen: this.#clients.size,
      connectionsTotal: this.#total,
      connectionsBroken: this.#broken,
    };
  }

  async drop(): Promise<void> {
    await Promise.all([...this.#clients.keys()].map(dropSocket));
  }

  #break(client: Socket): void {
    this.#broken += 1;
    resetSocket(client);
  }
}
