import type { Socket } from 'node:net';
import { abortable } from '@holdfast/foundation';
import type {
  AddressesChanged,
  DialOptions,
  DialTarget,
  DialedConnection,
  Dialer,
} from '../../network.ts';
import { classifyFailure } from '../../dialing/classify-failure.ts';
import { DialFailedError } from '../../dialing/errors.ts';
import type { FetchSettings } from '../options.ts';
import type { DrainReason } from '../resilient-fetch.ts';
import type { OriginConnection, ConnectionOwner, ConnectionSource } from './connection.ts';
import { Http1Connection, type UndiciClient } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';
import { loadUndici } from './undici-client.ts';

/** The share of `maxConnectionAgeMs` that is taken off at random, so that connections do not end together. */
const AGE_JITTER = 0.1;

type Send = (connection: OriginConnection) => void;

interface PoolDeps {
  readonly url: URL;
  readonly dialer: Dialer;
  readonly settings: FetchSettings;
  readonly opened: () => void;
  readonly drained: (address: string, reason: DrainReason) => void;
  readonly closed: () => void;
}

/**
 * The connections of one origin. How many there are is bounded by the bulkhead before it: a call holds one, or a
 * stream of one. What is unfit is drained, and what is still connecting is never ended but by its own caller.
 */
export class ConnectionPool implements ConnectionSource, ConnectionOwner {
  readonly #deps: PoolDeps;
  readonly #target: DialTarget;
  /** Those that take calls, with the time at which they are too old; the last used are the last. */
  readonly #taking = new Map<OriginConnection, number>();
  readonly #draining = new Set<OriginConnection>();
  /** Addresses that the name has no more, by the revision at which they left. */
  readonly #gone = new Map<string, number>();
  /** The first dial of an origin that may speak HTTP/2, whose session the other calls share. */
  #firstDial: Promise<unknown> | undefined;
  #connecting = 0;
  #closed: Error | undefined;

  constructor(deps: PoolDeps) {
    this.#deps = deps;
    const { hostname, port, protocol } = deps.url;
    const secure = protocol === 'https:';
    this.#target = {
      hostname: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
      port: port === '' ? (secure ? 443 : 80) : Number(port),
      secure,
    };
  }

  get hostname(): string {
    return this.#target.hostname;
  }

  get inUse(): boolean {
    if (this.#connecting > 0) return true;
    return [...this.#taking.keys(), ...this.#draining].some(({ inFlight }) => inFlight > 0);
  }

  acquire(signal: () => AbortSignal, isFresh: boolean, send: Send): void | Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    const kept = isFresh ? undefined : this.#takeKept();
    if (kept === undefined) return this.#open(signal(), isFresh, send);
    send(kept);
  }

  #takeKept(): OriginConnection | undefined {
    const nowMs = this.#deps.settings.clock.now();
    for (const [connection, expiresMs] of [...this.#taking].toReversed()) {
      if (expiresMs <= nowMs) this.#drain(connection, 'age');
      else if (connection.isAvailable) return connection;
    }
    return undefined;
  }

  async #open(signal: AbortSignal, isFresh: boolean, send: Send): Promise<void> {
    const { settings } = this.#deps;
    const maySpeakH2 = settings.allowH2 && this.#target.secure;
    if (maySpeakH2 && this.#firstDial !== undefined && !isFresh) {
      // Its failure is that of its own caller, and so is an abort of this one.
      await abortable(this.#firstDial, signal).catch(() => {});
      signal.throwIfAborted();
      const kept = this.#takeKept();
      if (kept !== undefined) {
        send(kept);
        return;
      }
    }
    const protocols = maySpeakH2 ? ['h2', 'http/1.1'] : ['http/1.1'];
    const dial = this.#dial({ signal, ...(this.#target.secure && { protocols }) }, send);
    if (maySpeakH2) this.#firstDial ??= dial;
    try {
      await dial;
    } finally {
      if (this.#firstDial === dial) this.#firstDial = undefined;
    }
  }

  async #dial(options: DialOptions, send: Send): Promise<void> {
    const { settings, dialer, opened } = this.#deps;
    this.#connecting += 1;
    try {
      const Client = this.#client();
      const dialed = await dialer.dial(this.#target, options);
      if (this.#closed !== undefined || options.signal?.aborted === true) {
        dialed.socket.destroy();
        throw this.#closed ?? options.signal?.reason;
      }
      opened();
      const connection = this.#connectionOf(dialed, Client);
      const ageMs = settings.maxConnectionAgeMs * (1 - AGE_JITTER * settings.random());
      this.#taking.set(connection, settings.clock.now() + ageMs);
      send(connection);
      const { address, revision } = dialed;
      // It left while it was being connected: it serves this one call.
      const leftAt = this.#gone.get(address.address);
      if (leftAt !== undefined && revision < leftAt) this.#drain(connection, 'address-gone');
    } finally {
      this.#connecting -= 1;
    }
  }

  /** @throws DialFailedError where it cannot be loaded for want of a descriptor */
  #client(): UndiciClient {
    try {
      const client = loadUndici();
      if (client !== undefined) return client;
    } catch (error) {
      if (classifyFailure(error) !== 'resources') throw error;
      throw new DialFailedError(this.#target, 'resources', [], error);
    }
    throw new Error('undici is no longer installed');
  }

  #connectionOf(
    { socket, address, protocol }: DialedConnection,
    Client: UndiciClient,
  ): OriginConnection {
    const { url, settings } = this.#deps;
    const common = {
      origin: url.origin,
      socket,
      address: address.address,
      owner: this,
      settings,
    };
    return protocol === 'h2'
      ? new Http2Connection(common)
      : new Http1Connection({ ...common, Client });
  }

  addressesChanged({ added, removed, revision }: AddressesChanged): void {
    for (const { address } of added) this.#gone.delete(address);
    for (const { address } of removed) this.#remember(address, revision);
    // Draining takes it out of the map, which an iteration allows.
    for (const connection of this.#taking.keys()) {
      if (connection.address !== undefined && this.#gone.has(connection.address)) {
        this.#drain(connection, 'address-gone');
      }
    }
  }

  /** Their certificates have expired. */
  drainSockets(sockets: readonly Socket[]): void {
    for (const connection of this.#taking.keys()) {
      const { socket } = connection;
      if (socket !== undefined && sockets.includes(socket)) {
        this.#drain(connection, 'certificate-expired');
      }
    }
  }

  #remember(address: string, revision: number): void {
    this.#gone.set(address, revision);
    if (this.#gone.size <= MAX_GONE) return;
    const [oldest = ''] = this.#gone.keys();
    this.#gone.delete(oldest);
  }

  #drain(connection: OriginConnection, reason: DrainReason): void {
    if (!this.#taking.has(connection)) return;
    this.draining(connection, reason);
    connection.drain();
  }

  idle(connection: OriginConnection): void {
    const expiresMs = this.#taking.get(connection);
    if (expiresMs === undefined) return;
    this.#taking.delete(connection);
    this.#taking.set(connection, expiresMs);
  }

  draining(connection: OriginConnection, reason: DrainReason): void {
    if (!this.#taking.delete(connection)) return;
    this.#draining.add(connection);
    this.#deps.drained(connection.address ?? '', reason);
  }

  closed(connection: OriginConnection): void {
    this.#taking.delete(connection);
    this.#draining.delete(connection);
  }

  stats(): { connections: number; draining: number; addresses: readonly string[] } {
    const addresses = [...this.#taking.keys()].map(({ address }) => address ?? '');
    return {
      connections: this.#taking.size,
      draining: this.#draining.size,
      addresses: [...new Set(addresses)].toSorted(),
    };
  }

  close(reason: Error): void {
    this.#closed = reason;
    this.#deps.closed();
    for (const connection of [...this.#taking.keys(), ...this.#draining])
      connection.destroy(reason);
  }
}

/** A name that has had more addresses has forgotten the first ones. */
const MAX_GONE = 1_000;
