/**
 * What a resilient fetch promises:
 *
 * - Time: one deadline from the call to the last byte of the body; queue, connect, headers, body and inflating count.
 * - Whole: a body that ends before its end is an error in every encoding, and so are bytes after it.
 * - Once: what is not idempotent is never sent again once a byte of it was written, unless the server says that it
 *   has not touched it.
 * - Bound: a body is stopped at `maxBodyBytes`, counted after inflating.
 * - Place: every hop, redirects included, is dialed by the dialer, which refuses forbidden addresses; headers that may
 *   be secret stay with their origin.
 */
import type {
  Clock,
  ExponentialBackoffOptions,
  Random,
  Subscribe,
  EventKinds,
} from '@holdfast/foundation';
import type { CircuitBreakerOptions, CircuitBreakerStats } from '@holdfast/resilience';
import type { DialerOptions } from '../dialing/dialer.ts';
import type { AddressesChanged, Dialer } from '../network.ts';

/** What tells a client that the addresses of a name have changed; a resolver does. */
export interface AddressChangeSource {
  on(kind: 'changed', listener: (event: AddressesChanged) => unknown): () => void;
  /** Keeps the addresses of a name current until the returned function is called. */
  watch?(hostname: string): () => void;
}

/** How often a request is tried, and the delays between. */
export interface FetchRetryOptions extends ExponentialBackoffOptions {
  /** Attempts for each hop, the first included. 1: none again. Default 3. */
  maxAttempts?: number;
}

/** Options of `createResilientFetch`. All times in milliseconds, all sizes in bytes. */
export interface ResilientFetchOptions {
  /** From the call to the last byte of the body, in milliseconds. Default 30 000. */
  timeoutMs?: number;
  /** From an attempt's begin to its headers, in milliseconds. Default: the whole deadline. */
  attemptTimeoutMs?: number;
  /** Attempts and the pauses between them; by default 3 with pauses from 100 ms to 5 s. */
  retry?: FetchRetryOptions;
  /** The most bytes of a body, counted after inflating. Default 104 857 600. */
  maxBodyBytes?: number;
  /** How many redirects are followed. Default 5. */
  maxRedirects?: number;
  /** Calls of one origin at a time, with a connection each over HTTP/1.1. Default 64. */
  maxConcurrent?: number;
  /** Calls that wait for their turn at one origin; further ones are refused. Default 1 000. */
  maxQueueSize?: number;
  /**
   * The circuit of each origin. Default: half of at least 20 calls failed within 10 s opens it for 5 s; what is left out of
   * an object is so, too, but `windowCalls`, or `failureThreshold` without a window, takes the place of the 10 s. `false`: none opens, for a client below a balancer, which judges the servers itself.
   */
  circuitBreaker?: Omit<CircuitBreakerOptions, 'name' | 'clock' | 'classifyResult'> | false;
  /**
   * `undici`, an optional peer from version 7, or `fetch`, the platform's, which has fewer promises. Default: undici
   * if it is installed; without it a warning names what `fetch` cannot promise.
   */
  transport?: 'undici' | 'fetch';
  /** Opens the connections, and refuses forbidden addresses. Default: one of its own. Only with undici. */
  dialer?: Dialer;
  /**
   * Connections to addresses that are gone are drained. Without a `dialer` it answers the names as well, and by
   * default there is one of its own. Only with undici.
   */
  resolver?: AddressChangeSource;
  /** As for `createDialer`: private addresses that may be connected to. Only without a `dialer`. */
  allowPrivate?: DialerOptions['allowPrivate'];
  /** As for `createDialer`: how servers are verified. Only without a `dialer`. */
  tls?: DialerOptions['tls'];
  /** Offers HTTP/2 to servers with TLS. Default false. Only with undici. */
  allowH2?: boolean;
  /** A connection in use over HTTP/2 that is silent for so long is asked by PING, and closed if it stays so. Default 2 000. */
  pingAfterMs?: number;
  /** How long an idle connection is kept, in milliseconds. Default 4 000. */
  keepAliveMs?: number;
  /** How old a connection may be when it is used again, in milliseconds, less up to 10 % at random. Default 300 000. */
  maxConnectionAgeMs?: number;
  /** Origins whose connections are kept. Default 1 000. */
  maxOrigins?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** The options of `fetch`, and what a resilient one has beside them. */
export interface ResilientRequestInit extends RequestInit {
  /** Of this call. Default: the client's. */
  timeoutMs?: number;
  /** Whether doing it twice is as doing it once. Default: by method, or true with an `Idempotency-Key`. */
  idempotent?: boolean;
  /** Needed by the types of Node for a body that is a stream. */
  duplex?: 'half';
}

/** The response of `fetch`, and how it came about. */
export interface ResilientResponse extends Response {
  /** The end of the body is where the connection ended; whether that is all of it cannot be known. */
  readonly unverifiedEnd: boolean;
  /** How often it was tried, for all hops. */
  readonly attempts: number;
}

/** The events of a resilient fetch, by name. */
export interface ResilientFetchEvents {
  /** An attempt has failed and the call goes on; `isImmediate`: on a fresh connection, without a pause. */
  retried: {
    readonly origin: string;
    readonly attempt: number;
    readonly delayMs: number;
    readonly isImmediate: boolean;
    readonly error?: unknown;
    readonly status?: number;
  };
  /** A connection takes no further calls. */
  drained: {
    readonly origin: string;
    readonly address: string;
    readonly reason: DrainReason;
  };
}

export const resilientFetchEventKinds: EventKinds<ResilientFetchEvents> = {
  retried: true,
  drained: true,
};

/** Why a connection takes no further calls. */
export type DrainReason = 'certificate-expired' | 'address-gone' | 'age' | 'silent' | 'goaway';

/** Numbers of one origin. */
export interface FetchOriginStats {
  readonly origin: string;
  readonly activeCount: number;
  readonly queuedCount: number;
  readonly circuit: CircuitBreakerStats;
  /** Open connections: those that take calls, and those that are drained. */
  readonly connections: number;
  readonly draining: number;
  readonly addresses: readonly string[];
}

/** Numbers of a resilient fetch: what runs now, and what it has counted since it was made. */
export interface ResilientFetchStats {
  readonly calls: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Calls that run now, until the last byte of their bodies. */
  readonly running: number;
  readonly retries: number;
  /** Immediate attempts after a kept connection was closed by the server. */
  readonly freshRetries: number;
  readonly redirects: number;
  readonly connectionsOpened: number;
  readonly connectionsDrained: number;
  readonly origins: readonly FetchOriginStats[];
}

/** Shaped like `fetch`. */
export interface ResilientFetch {
  /**
   * @throws InvalidOptionError for a malformed URL or unknown field; NetworkClosedError; the signal's own reason; or a
   * `FetchError`. A server that is refused is a `FetchFailedError` with the refusal as its `cause`: `TlsRefusedError` with
   * its `kind`, or `PrivateAddressError`. The body's stream errors with the same.
   */
  (input: string | URL | Request, init?: ResilientRequestInit): Promise<ResilientResponse>;
  readonly transport: 'undici' | 'fetch';
  /** What the transport cannot promise, in words; empty with undici. */
  readonly limitations: readonly string[];
  readonly on: Subscribe<ResilientFetchEvents>;
  getStats(): ResilientFetchStats;
  /** Refuses further calls and closes all connections; running calls fail. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
