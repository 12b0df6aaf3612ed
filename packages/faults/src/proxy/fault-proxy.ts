import {
  type Clock,
  createEmitter,
  createHistogram,
  type Distribution,
  boolean,
  objectWith,
  integer,
  type Subscribe,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { ProxyClosedError } from '../errors.ts';
import { type ProxyAddresses, addressShape, refuseRemote } from './addresses.ts';
import { type Connection, type ConnectionDeps, createConnection } from './connection.ts';
import { createActiveFaults } from './active-faults.ts';
import type { ProxyFaultKind, ProxyFaultSpec, ProxyFaults } from './fault-kinds.ts';
import { createListener } from './listener.ts';

export interface FaultProxyOptions extends ProxyAddresses {
  /** What faults hold back each way of one connection, before no more is read. Default 1 MiB. */
  maxBufferedBytes?: number;
  /** How long the server may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** False lets the process exit while nothing but the proxy is left. Default true. */
  holdsProcess?: boolean;
  clock?: Clock;
}

export interface FaultProxyEvents {
  opened: { connection: number };
  closed: { connection: number };
  /** The target did not accept; the client was answered by RST. */
  refused: { error: unknown };
  /** A fault was set or cleared, or its schedule came to a turn. */
  changed: { active: readonly ProxyFaultKind[] };
}

export interface FaultProxyStats {
  readonly seed: number;
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** The target did not accept, or there were too many. */
  readonly connectionsRefused: number;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  /** How many connections each fault has struck. */
  readonly injected: Readonly<Record<ProxyFaultKind, number>>;
  /** What was asked for bytes held back, what they really got, and the difference. */
  readonly wantedDelay: Distribution;
  readonly achievedDelay: Distribution;
  readonly excessDelay: Distribution;
}

/**
 * Stands between a client and its server and breaks what passes, as told. What the client's socket feels
 * is real: RST, FIN, refusal, silence. The address never moves. With no fault set, bytes go straight through.
 */
export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  readonly faults: {
    /**
     * In force when it returns, unless its schedule says later; what was set for the kind before is replaced.
     * @throws InvalidOptionError, ProxyClosedError
     */
    set<Kind extends ProxyFaultKind>(
      kind: Kind,
      ...options: object extends ProxyFaults[Kind]
        ? [options?: ProxyFaults[Kind]]
        : [options: ProxyFaults[Kind]]
    ): void;
    /**
     * The same for a fault that is data. Under names of their own, faults of one kind stand beside each
     * other. @throws InvalidOptionError, ProxyClosedError
     */
    apply(setting: ProxyFaultSpec, name?: string): void;
    /** @param name its kind, unless it was given one. Resolves when the address accepts again. @throws ProxyListenError */
    clear(name: string): Promise<void>;
    /** The faults that are set, in force or waiting for their schedule. */
    list(): readonly ProxyFaultKind[];
  };
  /** Undoes every fault; what was held back goes on. @throws ProxyListenError */
  heal(): Promise<void>;
  /**
   * New connections are not answered at all, as when the server's host is gone: connects hang until `heal()`.
   * Those that are open live on. @throws HostFaultUnavailableError with the reason, ProxyClosedError
   */
  hangConnects(): Promise<void>;
  /**
   * Refuses new connections until `accept()`, whatever the faults say: for who knows that the server is not
   * running. Those that are open end as the server ends them.
   */
  refuse(): void;
  /** Accepts again, unless a fault says otherwise; resolves when it does. @throws ProxyListenError */
  accept(): Promise<void>;
  getStats(): FaultProxyStats;
  /** Which connections chance has struck and spared; equal for equal seeds. */
  decisions(): Decisions;
  readonly on: Subscribe<FaultProxyEvents>;
  /** Drops every connection and gives the address back. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const shape = {
  ...addressShape,
  maxBufferedBytes: integer({ min: 1, max: 1_073_741_824, default: 1_048_576 }),
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  holdsProcess: boolean(true),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError, RemoteTargetError, ProxyListenError */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const settled = parseOptions('createFaultProxy', shape, options);
  const { target, seed, clock, maxConnections, holdsProcess } = settled;
  refuseRemote(target, settled.allowRemote);

  const announcer = createEmitter<FaultProxyEvents>('holdfast:fault-proxy');
  const log = createDecisionLog();
  const delays = {
    wanted: createHistogram(),
    achieved: createHistogram(),
    excess: createHistogram(),
  };
  const connections = new Set<Connection>();
  const bytes = { toServer: 0, toClient: 0 };
  let connectionsTotal = 0;
  let connectionsRefused = 0;
  let isClosed = false;
  let isServerAway = false;
  let isHanging = false;
  let whenEmpty = (): void => {};

  const surroundings: ConnectionDeps = {
    target,
    clock,
    holdsProcess,
    dialTimeoutMs: settled.dialTimeoutMs,
    maxBufferedBytes: settled.maxBufferedBytes,
    onBytes: (direction, count) => void (bytes[direction] += count),
    onDelayed(wantedMs, achievedMs) {
      delays.wanted.record(wantedMs);
      delays.achieved.record(achievedMs);
      delays.excess.record(Math.max(0, achievedMs - wantedMs));
    },
    onRefused(error) {
      connectionsRefused += 1;
      announcer.emit('refused', { error });
    },
    onClosed(connection) {
      connections.delete(connection);
      announcer.emit('closed', { connection: connection.number });
      if (connections.size === 0) whenEmpty();
    },
  };

  const listener = await createListener({ ...settled.listen, holdsProcess }, (client) => {
    if (isClosed || connections.size >= maxConnections) {
      connectionsRefused += 1;
      client.destroy();
      return;
    }
    connectionsTotal += 1;
    const connection = createConnection(connectionsTotal, client, surroundings);
    connections.add(connection);
    announcer.emit('opened', { connection: connection.number });
    connection.refresh(board.active());
  });

  let opening = Promise.resolve();
  const steerListener = (refuses: 'keep' | 'close' | 'reset' | undefined): void => {
    if (isClosed || (isHanging && refuses === undefined && !isServerAway)) return;
    isHanging = false;
    if (refuses === undefined && !isServerAway) {
      opening = listener.open();
      // Whoever heals awaits it; a schedule has nobody to tell, and the next change tries again.
      opening.catch(() => {});
      return;
    }
    listener.shut();
    if (refuses === undefined || refuses === 'keep') return;
    for (const connection of connections) connection[refuses]();
  };

  const refusing = (): 'keep' | 'close' | 'reset' | undefined =>
    board.active().find(({ fault }) => fault.refuses !== undefined)?.fault.refuses;
  const board = createActiveFaults({
    seed,
    clock,
    log,
    onChange() {
      const inForce = board.active();
      announcer.emit('changed', { active: inForce.map(({ kind }) => kind) });
      for (const connection of connections) connection.refresh(inForce);
      steerListener(refusing());
    },
  });

  let closing = Promise.resolve();
  const close = async (): Promise<void> => {
    if (!isClosed) {
      isClosed = true;
      board.clearAll();
      closing = listener.close();
    }
    await closing;
    if (connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const earlier = whenEmpty;
      whenEmpty = () => {
        earlier();
        resolve();
      };
      for (const connection of connections) connection.destroy();
    });
  };

  return {
    host: listener.host,
    port: listener.port,
    faults: {
      set(kind, ...[given]) {
        if (isClosed) throw new ProxyClosedError();
        board.set(kind, given, kind);
      },
      apply({ kind, options: given }, name = kind) {
        if (isClosed) throw new ProxyClosedError();
        board.set(kind, given, name);
      },
      clear(name) {
        board.clear(name);
        return opening;
      },
      list: () => board.list(),
    },
    async hangConnects() {
      if (isClosed) throw new ProxyClosedError();
      isHanging = true;
      await listener.hang();
    },
    heal() {
      isHanging = false;
      board.clearAll();
      return opening;
    },
    refuse() {
      isServerAway = true;
      steerListener('keep');
    },
    accept() {
      isServerAway = false;
      steerListener(refusing());
      return opening;
    },
    getStats: () => ({
      seed,
      connectionsOpen: connections.size,
      connectionsTotal,
      connectionsRefused,
      bytesToServer: bytes.toServer,
      bytesToClient: bytes.toClient,
      injected: board.injected(),
      wantedDelay: delays.wanted.read(),
      achievedDelay: delays.achieved.read(),
      excessDelay: delays.excess.read(),
    }),
    decisions: () => log.read(),
    on: announcer.on,
    close,
    [Symbol.asyncDispose]: close,
  };
}
