import type { ConnectionListener } from '../../backend.ts';
import { BackendError } from '../../errors.ts';
import { ManagedConnection, type ConnectionOptions } from './managed-connection.ts';
import type { CreateResolver } from '../resolver/server-resolver.ts';
import { slotOfTopic } from '../resolver/slot.ts';

/** The links of one backend: which of them a topic's keys are reached on. */
export interface Connections {
  open(listener: ConnectionListener): void;
  /** Resolves once each of them is up; rejects with the signal's own reason. */
  whenConnected(signal: AbortSignal): Promise<void>;
  /** The link for what is published and told. */
  of(topic: string): ManagedConnection;
  /** A new link for one consumer's waiting; the caller opens and closes it. */
  fetching(topic: string): ManagedConnection;
  close(): Promise<void>;
}

/** One server serves all topics. */
export function singleConnection(routeTo: CreateResolver, tuning: ConnectionOptions): Connections {
  const link = new ManagedConnection(routeTo(), tuning);
  return {
    open: (listener) => link.open(listener),
    whenConnected: (signal) => link.whenConnected(signal),
    of: () => link,
    fetching: () => new ManagedConnection(routeTo(), tuning),
    close: () => link.close(),
  };
}

/**
 * A cluster: one link a topic, to the node that serves its slot. What becomes of one concerns all: the
 * queue counts Redis as there while every link is up. Before the first topic, any node stands for all.
 */
export class ClusterConnections implements Connections {
  readonly #routeTo: CreateResolver;
  readonly #tuning: ConnectionOptions;
  readonly #any: ManagedConnection;
  readonly #links = new Map<string, ManagedConnection>();
  #listener: ConnectionListener | undefined;
  #isClosed = false;

  constructor(routeTo: CreateResolver, tuning: ConnectionOptions) {
    this.#routeTo = routeTo;
    this.#tuning = tuning;
    this.#any = new ManagedConnection(routeTo(), tuning);
  }

  open(listener: ConnectionListener): void {
    this.#listener = listener;
    // Consumers may have come first, and their links be up already.
    if (this.#links.size > 0) this.#tellWhenWhole(1);
    const isConcerned = (): boolean => this.#links.size === 0;
    this.#any.open({
      connected: (event) => isConcerned() && listener.connected(event),
      attemptFailed: (event) => isConcerned() && listener.attemptFailed(event),
      disconnected: (event) => isConcerned() && listener.disconnected(event),
    });
  }

  async whenConnected(signal: AbortSignal): Promise<void> {
    const needed = this.#links.size === 0 ? [this.#any] : [...this.#links.values()];
    await Promise.all(needed.map((link) => link.whenConnected(signal)));
  }

  of(topic: string): ManagedConnection {
    const known = this.#links.get(topic);
    if (known !== undefined) return known;
    if (this.#isClosed) throw new BackendError('unreachable', 'Redis: the link is closed');
    const link = this.fetching(topic);
    this.#links.set(topic, link);
    link.open({
      connected: ({ attempt }) => this.#tellWhenWhole(attempt),
      attemptFailed: (event) => this.#listener?.attemptFailed(event),
      disconnected: (event) => this.#listener?.disconnected(event),
    });
    return link;
  }

  fetching(topic: string): ManagedConnection {
    return new ManagedConnection(this.#routeTo(slotOfTopic(topic)), this.#tuning);
  }

  #tellWhenWhole(attempt: number): void {
    if ([...this.#links.values()].every(({ isConnected }) => isConnected))
      this.#listener?.connected({ attempt });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#any, ...this.#links.values()].map((link) => link.close()));
  }
}
