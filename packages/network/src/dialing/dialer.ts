import type { Clock, Subscribe } from '@holdfast/foundation';
import type { AddressSet, Dialer, ResolveOptions } from '../network.ts';
import type { TlsPolicy } from '../tls/tls-policy.ts';
import type { DialerEvents } from '../tls/events.ts';

/** Resolves names for a dialer, and learns which addresses could be reached. */
export interface DialerResolver {
  resolve(hostname: string, options?: ResolveOptions): Promise<AddressSet>;
  /** Called for each address that was tried; one that failed goes to the end of the next answers. */
  report?(address: string, result: 'reached' | 'failed'): void;
}

/** Options of `createDialer`. All times in milliseconds. */
export interface DialerOptions {
  /** Default: `dns.lookup`. */
  resolver?: DialerResolver;
  /** Of one dial: name, connect and handshake. Default 10 000. */
  timeoutMs?: number;
  /** From the start of one attempt to that of the next, to another address. Default 250 (RFC 8305). */
  attemptDelayMs?: number;
  /** How long an address that failed is tried last. Default 30 000. */
  failedAddressMs?: number;
  /** Default 0: both families. */
  family?: 0 | 4 | 6;
  /**
   * The addresses that are permitted beside the public ones. `false` (default): none. `true`: private, loopback and
   * reserved ones, but neither link-local ones, where clouds answer with credentials, nor multicast. A list of
   * addresses and of networks such as `10.0.0.0/8`: these.
   */
  allowPrivate?: boolean | readonly string[];
  /** How servers are verified, and what follows when one is refused. */
  tls?: TlsPolicy;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** Plain numbers, counted from the start. */
export interface DialerStats {
  readonly dials: number;
  readonly connected: number;
  readonly failed: number;
  /** Connects to an address that were started. */
  readonly attempts: number;
  /** Handshakes that resumed a session. */
  readonly resumed: number;
  readonly tlsRefused: number;
  /** Dials of addresses that are not permitted. */
  readonly addressesRefused: number;
  /** Now. */
  readonly openTlsSockets: number;
  /** Now. */
  readonly sessions: number;
}

/** A dialer with its events and numbers. */
export interface ManagedDialer extends Dialer, AsyncDisposable {
  readonly on: Subscribe<DialerEvents>;
  getStats(): DialerStats;
  /**
   * Replaces the certificate revocation lists. Sessions stay: each is checked against them before it is resumed. Open
   * connections to servers that they revoke are destroyed.
   * @throws InvalidOptionError
   */
  replaceCrls(crls: readonly (string | Buffer)[]): void;
  /** Fails dials in progress and forgets sessions. Open connections belong to their callers, and stay. */
  close(): Promise<void>;
}
