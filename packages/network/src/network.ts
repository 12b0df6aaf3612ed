import type { Socket } from 'node:net';

/** An IP address of a server. */
export interface IpAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/**
 * The addresses of a name at one moment: the value that the resolver, the dialer, the pools and the balancer share,
 * so that all of them act on one revision.
 */
export interface AddressSet {
  /** In lower case, without the last dot. */
  readonly hostname: string;
  /** At least one, in the order in which to try them. */
  readonly addresses: readonly IpAddress[];
  /** When the answer expires, on the resolver's clock. */
  readonly validUntilMs: number;
  /** Present when the answer has expired and was kept because no newer one came. */
  readonly stale?: StaleAddresses;
  /** Grows by one whenever the addresses of the name change. */
  readonly revision: number;
}

/** That the addresses are from an answer that has expired, and why. */
export interface StaleAddresses {
  /** The time since the answer expired. */
  readonly ageMs: number;
  /** Why no newer answer came. */
  readonly cause: unknown;
}

/** Options of one resolution. */
export interface ResolveOptions {
  /** 0: both. Default 0. */
  readonly family?: 0 | 4 | 6;
  /** Stops waiting, with the signal's reason; others go on waiting for the same answer. */
  readonly signal?: AbortSignal;
  /** Default: the resolver's own. */
  readonly timeoutMs?: number;
}

/** The addresses of a name have changed; pools drain the connections to those that are gone. */
export interface AddressesChanged {
  readonly hostname: string;
  readonly added: readonly IpAddress[];
  readonly removed: readonly IpAddress[];
  readonly revision: number;
}

/** A server to connect to. */
export interface DialTarget {
  /** A name or an IP address. */
  readonly hostname: string;
  readonly port: number;
  /** Whether TLS is spoken, and the server's certificate verified for `hostname`. */
  readonly secure: boolean;
}

/** Options of one dial. */
export interface DialOptions {
  /** Ends the dial and closes what it has opened; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** From the call to the usable connection: name, connect and handshake. Default: the dialer's own. */
  readonly timeoutMs?: number;
  /** The protocols offered by ALPN, such as `['h2', 'http/1.1']`. */
  readonly protocols?: readonly string[];
  /** Where to connect instead, in this order, when the policy is `alternate` and TLS is refused. Default: nowhere. */
  readonly alternates?: readonly DialTarget[];
}

/** An open connection; with TLS, one whose certificate has been verified. */
export interface DialedConnection {
  readonly socket: Socket;
  /** The address that is connected: the same that was checked. */
  readonly address: IpAddress;
  /** The revision of the addresses that it was dialed from. */
  readonly revision: number;
  /** The protocol chosen by ALPN, if any. */
  readonly protocol?: string;
  /** Present when the target was refused and this is one of `alternates`. */
  readonly alternate?: DialTarget;
  /** With TLS: the first end of validity in the server's chain, in milliseconds since the Unix epoch. */
  readonly validToMs?: number;
  /** With TLS: whether a session was resumed; certificate, pins and lists were checked as with a full handshake. */
  readonly resumed?: boolean;
}

/** Opens connections; the one place where names become sockets, and where forbidden addresses are refused. */
export interface Dialer {
  dial(target: DialTarget, options?: DialOptions): Promise<DialedConnection>;
}
