import type { Socket } from 'node:net';
import {
  type Clock,
  type Distribution,
  type ResolvedOptions,
  type Subscribe,
  type Timer,
  boolean,
  createEmitter,
  createHistogram,
  integer,
  objectWith,
  parseOptions,
  systemClock,
  type EventKinds,
} from '@holdfast/foundation';
import { type Decisions, createDecisionLog } from '../decision-log.ts';
import { ProxyClosedError } from '../errors.ts';
import { ActiveFaults } from './active-faults.ts';
import { type ProxyAddress, type ProxyAddresses, addressShape, refuseRemote } from './addresses.ts';
import { ProxiedConnection, type ConnectionDeps } from './connection.ts';
import type { Direction, Fault } from './fault.ts';
import type { ProxyFaultKind, ProxyFaultSpec, ProxyFaults } from './fault-kinds.ts';
import { type Listener, createListener } from './listener.ts';

/** Options of `createFaultProxy`. */
export interface FaultProxyOptions extends ProxyAddresses {
  /** How many bytes faults may hold back in one direction of a connection before reading pauses. Default 1 MiB. */
  maxBufferedBytes?: number;
  /** How long the server may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** False lets the process exit when only the proxy is left. Default true. */
  holdsProcess?: boolean;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The events of a fault proxy, by name. */
export interface FaultProxyEvents {
  opened: { connection: number };
  closed: { connection: number };
  /** The target did not accept; the client got RST. */
  refused: { error: unknown };
  /** A fault was set, cleared, or switched by its schedule. */
  changed: { active: readonly ProxyFaultKind[] };
  /** The address is to accept again and could not be taken; it is tried again until it can. */
  listenFailed: { error: unknown };
}

const faultProxyEventKinds: EventKinds<FaultProxyEvents> = {
  opened: true,
  closed: true,
  refused: true,
  changed: true,
  listenFailed: true,
};

/** What a fault proxy has carried and done, read at any time. */
export interface FaultProxyStats {
  readonly seed: number;
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** The target did not accept, or there were too many. */
  readonly connectionsRefused: number;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  /** How many connections each fault was injected into. */
  readonly injected: Readonly<Record<ProxyFaultKind, number>>;
  /** The delays wanted for delayed bytes, those achieved, and the excess. */
  readonly wantedDelay: Distribution;
  readonly achievedDelay: Distribution;
  readonly excessDelay: Distribution;
}

/**
 * A proxy between clients and a server that injects faults into connections. What the client's socket sees is real: RST,
 * FIN, refusal, silence. The address never changes. With no fault set, bytes pass unchanged.
 */
export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  readonly faults: {
    /**
     * Sets a fault, in place of an earlier one of its kind. It is active at once unless its schedule says later.
     * @throws InvalidOptionError, ProxyClosedError
     */
    set<Kind extends ProxyFaultKind>(
      kind: Kind,
      ...options: object extends ProxyFaults[Kind]
        ? [options?: ProxyFaults[Kind]]
        : [options: ProxyFaults[Kind]]
    ): void;
    /**
     * Sets a fault given as data. Under different names, several faults of one kind can be active.
     * @throws InvalidOptionError, ProxyClosedError
     */
    apply(setting: ProxyFaultSpec, name?: string): void;
    /** Resolves when the address accepts. @param name its kind, unless it was given a name. @throws ProxyListenError */
    clear(name: string): Promise<void>;
    /** Returns the faults that are set, active or waiting for their schedule. */
    list(): readonly ProxyFaultKind[];
  };
  /** Clears every fault; bytes held back are sent. @throws ProxyListenError */
  heal(): Promise<void>;
  /**
   * Lets connects hang until `heal()`, as when the server's host is down. Open connections continue.
   * @throws HostFaultUnavailableError with the reason, ProxyClosedError
   */
  hangConnects(): Promise<void>;
  /**
   * Refuses new connections until `accept()`, whatever the faults say; use it when the server is known to be down.
   * Open connections end as the server ends them.
   */
  refuse(): void;
  /** Accepts connections again, unless a fault refuses them; resolves when it does. @throws ProxyListenError */
  accept(): Promise<void>;
  getStats(): FaultProxyStats;
  /** What was injected and what was spared; equal for equal seeds. */
  decisions(): Decisions;
  readonly on: Subscribe<FaultProxyEvents>;
  /** Drops every connection and releases the address. */
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

/** How long after a failure the address is tried again. */
const LISTEN_AGAIN_MS = 250;

type Refusal = NonNullable<Fault['refuses']>;

/**
 * Stands between a client and any server, and delays, cuts, slices or damages the bytes.
 * @throws InvalidOptionError, RemoteTargetError, ProxyListenError
 */
export function createFaultProxy(given: FaultProxyOptions): Promise<FaultProxy> {
  return openFaultProxy(given);
}

/** A proxy whose target can change. */
export interface RetargetableProxy extends FaultProxy {
  /** The numeric address it has, once it has listened. */
  readonly bound: ProxyAddress | undefined;
  /** Bytes that were read on their way, also those that faults hold back or drop. */
  readonly bytesRead: Readonly<Record<Direction, number>>;
  /** Leads new connections to another target, and ends the open ones by FIN. */
  retarget(target: ProxyAddress): void;
  /** Ends the open connections by FIN, at both ends. */
  dropConnections(): void;
}

/**
 * @param opens false: it refuses, and takes its address only in `accept()`.
 * @throws InvalidOptionError, RemoteTargetError, ProxyListenError
 */
export async function openFaultProxy(
  given: FaultProxyOptions,
  { opens = true }: { opens?: boolean } = {},
): Promise<RetargetableProxy> {
  const options = parseOptions('createFaultProxy', shape, given);
  refuseRemote(options.target, options.allowRemote);
  const core = new ProxyCore(options);
  if (!opens) core.refuse();
  const { listen, holdsProcess } = options;
  const listener = await createListener({ ...listen, holdsProcess, opens }, (client) =>
    core.accept(client),
  );
  core.listener = listener;
  return {
    host: listener.host,
    get port() {
      return listener.port;
    },
    get bound() {
      return listener.bound;
    },
    bytesRead: core.bytesRead,
    retarget: (target) => core.retarget(target),
    dropConnections: () => core.dropConnections(),
    faults: {
      set: (kind, ...[fault]) => core.set(kind, fault, kind),
      apply: ({ kind, options: fault }, name = kind) => core.set(kind, fault, name),
      clear: (name) => core.clear(name),
      list: () => core.faults.list(),
    },
    hangConnects: () => core.hangConnects(),
    heal: () => core.heal(),
    refuse: () => core.refuse(),
    accept: () => core.acceptAgain(),
    getStats: () => core.getStats(),
    decisions: () => core.log.read(),
    on: core.emitter.on,
    close: () => core.close(),
    [Symbol.asyncDispose]: () => core.close(),
  };
}

/** The connections and faults of one proxy, and the state of its address. */
class ProxyCore {
  readonly log = createDecisionLog();
  readonly emitter = createEmitter<FaultProxyEvents>('holdfast:fault-proxy', faultProxyEventKinds);
  readonly faults: ActiveFaults;
  listener: Listener | undefined;
  readonly #options: ResolvedOptions<typeof shape>;
  #connectionDeps: ConnectionDeps;
  readonly #connections = new Set<ProxiedConnection>();
  readonly #bytes = { toServer: 0, toClient: 0 };
  readonly bytesRead = { toServer: 0, toClient: 0 };
  readonly #wantedDelay = createHistogram();
  readonly #achievedDelay = createHistogram();
  readonly #excessDelay = createHistogram();
  #connectionsTotal = 0;
  #connectionsRefused = 0;
  #isClosed = false;
  #isServerDown = false;
  #isHanging = false;
  /** Resolves when the address accepts again. */
  #opening = Promise.resolve();
  #closing = Promise.resolve();
  /** Tries to listen again, after that failed. */
  #retry: Timer | undefined;
  #whenEmpty = (): void => {};

  constructor(options: ResolvedOptions<typeof shape>) {
    const { seed, clock } = options;
    this.#options = options;
    this.faults = new ActiveFaults({
      seed,
      clock,
      log: this.log,
      onChange: () => this.#applyFaults(),
    });
    const bytes = this.#bytes;
    const bytesRead = this.bytesRead;
    this.#connectionDeps = {
      ...options,
      onBytes: {
        toServer: (count) => void (bytes.toServer += count),
        toClient: (count) => void (bytes.toClient += count),
      },
      onRead: {
        toServer: (count) => void (bytesRead.toServer += count),
        toClient: (count) => void (bytesRead.toClient += count),
      },
      onDelayed: (wantedMs, achievedMs) => {
        this.#wantedDelay.record(wantedMs);
        this.#achievedDelay.record(achievedMs);
        this.#excessDelay.record(Math.max(0, achievedMs - wantedMs));
      },
      onRefused: (error) => {
        this.#connectionsRefused += 1;
        this.emitter.emit('refused', { error });
      },
      onClosed: (connection) => {
        this.#connections.delete(connection);
        this.emitter.emit('closed', { connection: connection.number });
        if (this.#connections.size === 0) this.#whenEmpty();
      },
    };
  }

  accept(client: Socket): void {
    if (this.#isClosed || this.#connections.size >= this.#options.maxConnections) {
      this.#connectionsRefused += 1;
      client.destroy();
      return;
    }
    this.#connectionsTotal += 1;
    const connection = new ProxiedConnection(this.#connectionsTotal, client, this.#connectionDeps);
    this.#connections.add(connection);
    this.emitter.emit('opened', { connection: connection.number });
    connection.refresh(this.faults.active());
  }

  set(kind: ProxyFaultKind, options: unknown, name: string): void {
    this.#assertOpen();
    this.faults.set(kind, options, name);
  }

  clear(name: string): Promise<void> {
    this.faults.clear(name);
    return this.#opening;
  }

  heal(): Promise<void> {
    this.#isHanging = false;
    this.faults.clearAll();
    return this.#opening;
  }

  async hangConnects(): Promise<void> {
    this.#assertOpen();
    this.#isHanging = true;
    await this.listener?.hang();
  }

  refuse(): void {
    this.#isServerDown = true;
    this.#updateListener('keep');
  }

  acceptAgain(): Promise<void> {
    this.#isServerDown = false;
    this.#updateListener(this.#refusal());
    return this.#opening;
  }

  retarget(target: ProxyAddress): void {
    this.#connectionDeps = { ...this.#connectionDeps, target };
    this.dropConnections();
  }

  dropConnections(): void {
    for (const connection of this.#connections) connection.close();
  }

  getStats(): FaultProxyStats {
    return {
      seed: this.#options.seed,
      connectionsOpen: this.#connections.size,
      connectionsTotal: this.#connectionsTotal,
      connectionsRefused: this.#connectionsRefused,
      bytesToServer: this.#bytes.toServer,
      bytesToClient: this.#bytes.toClient,
      injected: this.faults.injected(),
      wantedDelay: this.#wantedDelay.read(),
      achievedDelay: this.#achievedDelay.read(),
      excessDelay: this.#excessDelay.read(),
    };
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#retry?.cancel();
      this.faults.clearAll();
      this.#closing = this.listener?.close() ?? Promise.resolve();
    }
    await this.#closing;
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const earlier = this.#whenEmpty;
      this.#whenEmpty = () => {
        earlier();
        resolve();
      };
      for (const connection of this.#connections) connection.destroy();
    });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ProxyClosedError();
  }

  #applyFaults(): void {
    const active = this.faults.active();
    this.emitter.emit('changed', { active: active.map(({ kind }) => kind) });
    for (const connection of this.#connections) connection.refresh(active);
    this.#updateListener(this.#refusal());
  }

  /** Returns what the fault that refuses connections does to open ones; undefined without such a fault. */
  #refusal(): Refusal | undefined {
    return this.faults.active().find(({ fault }) => fault.refuses !== undefined)?.fault.refuses;
  }

  #updateListener(refusal: Refusal | undefined): void {
    if (this.listener === undefined || this.#isClosed) return;
    this.#retry?.cancel();
    const accepts = refusal === undefined && !this.#isServerDown;
    if (accepts && this.#isHanging) return;
    this.#isHanging = false;
    if (accepts) {
      this.#opening = this.listener.open();
      // `heal()` and `clear()` return the promise as well.
      this.#opening.catch((error: unknown) => this.#listenLater(error));
      return;
    }
    this.listener.refuseConnections();
    if (refusal === undefined || refusal === 'keep') return;
    for (const connection of this.#connections) connection[refusal]();
  }

  /** Another process has the address: tries again until the proxy has it, is to refuse, or is closed. */
  #listenLater(error: unknown): void {
    if (this.#isClosed || this.#isServerDown || this.#refusal() !== undefined) return;
    this.emitter.emit('listenFailed', { error });
    const { clock, holdsProcess } = this.#options;
    this.#retry?.cancel();
    const tryAgain = (): void => this.#updateListener(this.#refusal());
    this.#retry = clock.schedule(LISTEN_AGAIN_MS, tryAgain, { holdsProcess });
  }
}
