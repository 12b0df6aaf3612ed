import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, type ListenOptions, Server, type Socket, createServer } from 'node:net';
import {
  type Clock,
  type Emitter,
  type Subscribe,
  type Timer,
  createEmitter,
  integer,
  objectWith,
  optional,
  parseOptions,
  propertyOf,
  string,
  systemClock,
  type EventKinds,
} from '@holdfast/foundation';
import type { ResourceBudget } from '../budget/budget.ts';
import { descriptorsLeft } from './descriptor-limit.ts';

/** Options of `listenWithinBudget`. All times in milliseconds. */
export interface GuardedListenerOptions {
  /** Has a limit of descriptors; connections are of low priority in it. */
  budget: ResourceBudget;
  /** What a connection without room is sent, before it is closed. Empty: it is reset. Default a 503 of HTTP. */
  refusal?: string;
  /**
   * How many connections are refused at a time; then the listener pauses. They have descriptors beyond the budget. Default:
   * as many as the process's limit leaves beside it and 16 for others, 8 to 1 024.
   */
  maxRefusing?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What a guarded listener has taken and refused, read at any time. */
export interface GuardedListenerStats {
  readonly connections: number;
  /** Since the start. */
  readonly refused: number;
  readonly pauses: number;
  readonly isPaused: boolean;
}

/** The events of a guarded listener, by name. */
export interface GuardedListenerEvents {
  /** No room, or room again. While paused, clients learn at once that nobody listens. */
  paused: { readonly connections: number };
  resumed: { readonly connections: number };
  refused: { readonly remoteAddress: string | undefined };
}

const guardedListenerEventKinds: EventKinds<GuardedListenerEvents> = {
  paused: true,
  resumed: true,
  refused: true,
};

/** Accepts connections for a server as long as there are descriptors. */
export interface GuardedListener {
  readonly on: Subscribe<GuardedListenerEvents>;
  address(): AddressInfo | string | null;
  getStats(): GuardedListenerStats;
  /** Accepts no more; open connections stay. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const BUSY =
  'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';
/** How long a refused client has to say what it wanted, and to read the answer. */
const REFUSING_MS = 1_000;
const LISTEN_AGAIN_MS = 50;
const MIN_REFUSING = 8;
const MAX_REFUSING = 1_024;
const schema = {
  budget: objectWith<ResourceBudget>(['tryReserve', 'on', 'level', 'getStats']),
  refusal: string({ minLength: 0, maxLength: 4_096, default: BUSY }),
  maxRefusing: optional(integer({ min: 1, max: 1_000_000 })),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Listens in place of `server.listen()`, and hands accepted connections to the server. A connection takes a descriptor
 * of the budget. Above the shed mark, idle connections are closed and new ones are answered by `refusal`; with
 * `maxRefusing` of them at a time it stops listening until there is room, so that the work in progress keeps descriptors.
 * None that it has accepted is closed without a word; clients that connect as it stops are reset, or refused like those
 * that come later, before a byte of them is read: they may call again.
 * @param server of `node:http`, `https` or `net`; it must not listen itself.
 * @throws InvalidOptionError, or the error of listening
 */
export async function listenWithinBudget(
  server: Server,
  listen: ListenOptions,
  options: GuardedListenerOptions,
): Promise<GuardedListener> {
  const parsed = parseOptions('listenWithinBudget', schema, options);
  const { maxRefusing = descriptorsBeside(parsed.budget) } = parsed;
  const listener = new BudgetListener(server, listen, { ...parsed, maxRefusing });
  await listener.start();
  // The timeouts of an http server run from this event on.
  server.emit('listening');
  return listener;
}

function descriptorsBeside(budget: ResourceBudget): number {
  const { limits, used } = budget.getStats();
  const budgeted = Math.max(0, limits.descriptors - used.descriptors);
  return Math.min(MAX_REFUSING, Math.max(MIN_REFUSING, descriptorsLeft() - budgeted));
}

class BudgetListener implements GuardedListener {
  readonly on: Subscribe<GuardedListenerEvents>;
  readonly #emitter: Emitter<GuardedListenerEvents> = createEmitter(
    'holdfast:listener',
    guardedListenerEventKinds,
  );
  readonly #server: Server;
  readonly #options: Required<GuardedListenerOptions>;
  readonly #refusing = new Set<Socket>();
  readonly #idle = new Set<Socket>();
  /** How many requests of a connection are not answered yet. */
  readonly #running = new WeakMap<Socket, number>();
  readonly #stopEvicting: () => void;
  #listen: ListenOptions;
  #listening: Server | undefined;
  #address: AddressInfo | string | null = null;
  #retry: Timer | undefined;
  #connections = 0;
  #refused = 0;
  #pauses = 0;
  #closed = false;

  constructor(server: Server, listen: ListenOptions, options: Required<GuardedListenerOptions>) {
    this.on = this.#emitter.on;
    this.#server = server;
    this.#listen = listen;
    this.#options = options;
    this.#stopEvicting = options.budget.on('evict', ({ resource, amount }) => {
      if (resource === 'descriptors') this.#closeIdle(amount);
    });
    server.on('request', this.#onRequest);
  }

  async start(): Promise<void> {
    const listening = createServer({ allowHalfOpen: true, noDelay: true });
    listening.on('connection', (socket) => this.#accept(socket));
    listening.listen(this.#listen);
    await once(listening, 'listening');
    this.#address = listening.address();
    if (typeof this.#address === 'object' && this.#address !== null) {
      this.#listen = { ...this.#listen, port: this.#address.port };
    }
    if (this.#closed) listening.close();
    else this.#listening = listening;
  }

  address(): AddressInfo | string | null {
    return this.#address;
  }

  getStats(): GuardedListenerStats {
    return {
      connections: this.#connections,
      refused: this.#refused,
      pauses: this.#pauses,
      isPaused: this.#listening === undefined,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopEvicting();
    this.#server.off('request', this.#onRequest);
    this.#retry?.cancel();
    for (const socket of this.#refusing) socket.destroy();
    this.#listening?.close();
    this.#listening = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(socket: Socket): void {
    const reservation = this.#options.budget.tryReserve({ descriptors: 1 }, { priority: 'low' });
    if (reservation === undefined) {
      this.#refuse(socket);
      return;
    }
    this.#connections += 1;
    socket.once('close', () => {
      this.#connections -= 1;
      reservation.release();
    });
    // As a server does that half-open connections were not asked of.
    if (propertyOf(this.#server, 'allowHalfOpen') !== true) socket.allowHalfOpen = false;
    this.#server.emit('connection', socket);
  }

  #refuse(socket: Socket): void {
    const { refusal, maxRefusing, clock } = this.#options;
    this.#refused += 1;
    this.#emitter.emit('refused', { remoteAddress: socket.remoteAddress });
    this.#closeIdle(1);
    this.#refusing.add(socket);
    const timer = clock.schedule(REFUSING_MS, () => socket.resetAndDestroy());
    socket.on('error', () => {});
    socket.once('close', () => {
      timer.cancel();
      this.#refusing.delete(socket);
      if (this.#refusing.size === 0) this.#resume();
    });
    // Closing before the client has spoken would reset the connection, and the answer with it.
    if (refusal === '') socket.resetAndDestroy();
    else socket.once('data', () => socket.end(refusal)).once('end', () => socket.destroy());
    if (this.#refusing.size >= maxRefusing) this.#pause();
  }

  #pause(): void {
    const listening = this.#listening;
    if (listening === undefined) return;
    this.#listening = undefined;
    this.#pauses += 1;
    listening.close();
    this.#emitter.emit('paused', { connections: this.#connections });
  }

  #resume(): void {
    if (this.#closed || this.#listening !== undefined || this.#retry !== undefined) return;
    this.#retry = this.#options.clock.schedule(0, () => {
      this.start().then(
        () => {
          this.#retry = undefined;
          this.#emitter.emit('resumed', { connections: this.#connections });
        },
        () => this.#listenLater(),
      );
    });
  }

  /** Another process has the port for now, or there is no descriptor left. */
  #listenLater(): void {
    if (this.#closed) return;
    this.#retry = this.#options.clock.schedule(LISTEN_AGAIN_MS, () => {
      this.#retry = undefined;
      this.#resume();
    });
  }

  /**
   * Follows which connections of an http server are idle, the one that has been so longest first. One that has not sent
   * a request yet is none: its request may be on the way.
   */
  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    // One connection of HTTP/2 carries many requests, and closes by itself.
    if (request.httpVersionMajor > 1) return;
    const running = this.#running.get(socket);
    if (running === undefined) socket.once('close', () => this.#idle.delete(socket));
    this.#running.set(socket, (running ?? 0) + 1);
    this.#idle.delete(socket);
    response.once('close', () => {
      const left = (this.#running.get(socket) ?? 1) - 1;
      this.#running.set(socket, left);
      if (left === 0 && !socket.destroyed) this.#idle.add(socket);
    });
  };

  #closeIdle(amount: number): void {
    for (const socket of [...this.#idle].slice(0, amount)) {
      this.#idle.delete(socket);
      socket.destroy();
    }
  }
}
