import type { ConnectionListener } from '../../backend.ts';
import { BackendError } from '../../errors.ts';
import type { CreateResolver } from '../resolver/server-resolver.ts';
import { slotOfTopic } from '../resolver/slot.ts';
import { type ConnectionOptions, ManagedConnection } from './managed-connection.ts';

/** The connections of one backend, by the topics whose keys they reach. */
export interface Connections {
  open(listener: ConnectionListener): void;
  /** Resolves once all of them are up; rejects with the signal's own reason. */
  whenConnected(signal: AbortSignal): Promise<void>;
  /** The connection for the commands of a topic that do not block. */
  forTopic(topic: string): ManagedConnection;
  /** A new connection for the blocking reads of one consumer; the caller opens and closes it. */
  createBlocking(topic: string): ManagedConnection;
  close(): Promise<void>;
}

/** One server serves all topics. */
export function singleConnection(
  createResolver: CreateResolver,
  options: ConnectionOptions,
): Connections {
  const connection = new ManagedConnection(createResolver(), options);
  return {
    open: (listener) => connection.open(listener),
    whenConnected: (signal) => connection.whenConnected(signal),
    forTopic: () => connection,
    createBlocking: () => new ManagedConnection(createResolver(), options),
    close: () => connection.close(),
  };
}

/**
 * In a cluster each topic has a connection to the node that serves its slot. The listener sees them as one: Redis is
 * up while all of them are. Before the first topic, a connection to any node represents the cluster.
 */
export class ClusterConnections implements Connections {
  readonly #createResolver: CreateResolver;
  readonly #options: ConnectionOptions;
  readonly #any: ManagedConnection;
  readonly #byTopic = new Map<string, ManagedConnection>();
  #listener: ConnectionListener | undefined;
  #isClosed = false;

  constructor(createResolver: CreateResolver, options: ConnectionOptions) {
    this.#createResolver = createResolver;
    this.#options = options;
    this.#any = new ManagedConnection(createResolver(), options);
  }

  open(listener: ConnectionListener): void {
    this.#listener = listener;
    // The connections of consumers may have been created, and be up, before.
    if (this.#byTopic.size > 0) this.#reportWhenAllConnected(1);
    const isConcerned = (): boolean => this.#byTopic.size === 0;
    this.#any.open({
      connected: (event) => isConcerned() && listener.connected(event),
      attemptFailed: (event) => isConcerned() && listener.attemptFailed(event),
      disconnected: (event) => isConcerned() && listener.disconnected(event),
    });
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    const needed = this.#byTopic.size === 0 ? [this.#any] : [...this.#byTopic.values()];
    await Promise.all(needed.map((connection) => connection.whenConnected(signal)));
  }

  forTopic(topic: string): ManagedConnection {
    const known = this.#byTopic.get(topic);
    if (known !== undefined) return known;
    if (this.#isClosed) throw new BackendError('unreachable', 'Redis: the connection is closed');
    const connection = this.createBlocking(topic);
    this.#byTopic.set(topic, connection);
    connection.open({
      connected: ({ attempt }) => this.#reportWhenAllConnected(attempt),
      attemptFailed: (event) => this.#listener?.attemptFailed(event),
      disconnected: (event) => this.#listener?.disconnected(event),
    });
    return connection;
  }

  createBlocking(topic: string): ManagedConnection {
    return new ManagedConnection(this.#createResolver(slotOfTopic(topic)), this.#options);
  }

  #reportWhenAllConnected(attempt: number): void {
    const all = [...this.#byTopic.values()];
    if (all.every(({ isConnected }) => isConnected)) this.#listener?.connected({ attempt });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const all = [this.#any, ...this.#byTopic.values()];
    await Promise.all(all.map((connection) => connection.close()));
  }
}
