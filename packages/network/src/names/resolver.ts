import type { LookupAddress, LookupOptions } from 'node:dns';
import type { Clock, Random, Subscribe, EventKinds } from '@holdfast/foundation';
import type { AddressSet, AddressesChanged, ResolveOptions } from '../network.ts';

/**
 * Answers names by queries of its own, without `getaddrinfo`: a slow name delays no other, the time to live of every
 * answer is kept, and the last good answer serves while the name servers fail.
 *
 * - Order: the addresses are spread over the calls; those reported as failed come last for 30 s.
 * - Bounds: names, queries in flight, queries waiting and bytes of an answer; each call has a deadline.
 * - Failure: a call rejects with an error of `NameError`, or returns an expired answer that says so in `stale`.
 */
export interface Resolver {
  /**
   * The addresses of a name. Calls for one name share its queries; a call's abort leaves the others running, and the
   * last one's ends the query. IP addresses and `localhost` are answered without asking.
   * @throws InvalidOptionError for what is no name; NameError; NetworkClosedError; the signal's own reason.
   */
  resolve(hostname: string, options?: ResolveOptions): Promise<AddressSet>;
  /**
   * For every `lookup` option: net, tls, http, undici, ioredis, pg. Its errors have the codes of `dns.lookup`
   * (`ENOTFOUND`, `EAI_AGAIN`, and `EMFILE` when descriptors are short); the resolver's error is the cause.
   */
  readonly lookup: NameLookup;
  /**
   * Keeps the answer of a name current until the returned function is called, whether or not it is asked for: so a
   * pool of kept connections hears of `changed`.
   * @throws InvalidOptionError for what is no name; NameLimitError when half of `maxNames` are watched.
   */
  watch(hostname: string): () => void;
  /** Says whether an address could be connected to: one that failed is placed last for 30 s, or until it is reached. */
  report(address: string, result: 'reached' | 'failed'): void;
  readonly on: Subscribe<ResolverEvents>;
  getStats(): ResolverStats;
  /** Rejects what waits with NetworkClosedError. Calling it twice does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The `lookup` option of `net.connect`, `http.request`, undici's `connect` and others. */
export type NameLookup = (
  hostname: string,
  options: LookupOptions | LookupFamily | LookupCallback,
  callback?: LookupCallback,
) => void;

/** The family of addresses that is asked for; 0: both. */
export type LookupFamily = 0 | 4 | 6;

/** The callback of `dns.lookup`. */
export type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** Also published on `node:diagnostics_channel` as `holdfast:network:names:<kind>`. */
export interface ResolverEvents {
  /** The addresses of a name are others than before. */
  changed: AddressesChanged;
  /** The answer of a name has expired and could not be renewed; it is served with its age. Once for each failed try. */
  stale: StaleServed;
}

export const resolverEventKinds: EventKinds<ResolverEvents> = { changed: true, stale: true };

/** An expired answer that was served because no newer one came. */
export interface StaleServed {
  readonly hostname: string;
  readonly ageMs: number;
  readonly cause: unknown;
}

/** Options of `createResolver`. All times in milliseconds. */
export interface ResolverOptions {
  /** IP addresses, each with a port or without, such as `10.0.0.2`, `10.0.0.2:5353`, `[fd00::2]:53`. Default: those of `resolvConf`. */
  readonly nameservers?: readonly string[];
  /** Appended to names with fewer dots than `ndots`, in this order. Default: those of `resolvConf`; none where `nameservers` is given. */
  readonly search?: readonly string[];
  /** Default: that of `resolvConf`, else 1. */
  readonly ndots?: number;
  /** Read at once, and again when it changes. Default `/etc/resolv.conf`. */
  readonly resolvConf?: string;
  /** Read at once, and again when it changes; `false`: none. Default `/etc/hosts`. */
  readonly hostsFile?: string | false;
  /** How often the two files are checked for changes. Default 5 000. */
  readonly reloadEveryMs?: number;
  /** The deadline of a call that sets none. Default 5 000. */
  readonly timeoutMs?: number;
  /** A shorter time to live is raised to this. Default 0: what says 0 is not kept. */
  readonly minTtlMs?: number;
  /** A longer time to live is lowered to this. Default one day, at most 7 days. */
  readonly maxTtlMs?: number;
  /** The longest time that "no such name" is kept, whatever the zone says. Default 60 000. */
  readonly maxNegativeTtlMs?: number;
  /** How long an answer is served after it has expired, if no newer one comes. Default one day. */
  readonly staleMs?: number;
  /** How long a call waits for a newer answer before it takes the expired one. Default 500. */
  readonly staleWaitMs?: number;
  /** Whether an expired answer also serves when the servers say that the name does not exist. Default false. */
  readonly staleOnNxdomain?: boolean;
  /** The family of the first address. Default: IPv6 where the machine has an address of it that others could reach. */
  readonly familyOrder?: 'ipv4first' | 'ipv6first';
  /** Names kept. Default 10 000. */
  readonly maxNames?: number;
  /** Queries in flight. Default 64. */
  readonly maxInFlight?: number;
  /** Queries that wait for one in flight to end; one more rejects. Default 1 000. */
  readonly maxWaiting?: number;
  /** Where answers are from. Default: the name servers. */
  readonly source?: NameSource;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** For ids, letter case and order. Default: cryptographic. */
  readonly random?: Random;
}

/** Answers one question; the resolver keeps, shares and bounds what it says. */
export interface NameSource {
  /** Rejects with the signal's reason when it aborts, and with a NameError of its own else. */
  ask(hostname: string, family: 4 | 6, signal: AbortSignal): Promise<NameAnswer>;
  getStats?(): NameSourceStats;
  close?(): void;
}

/** `not-found`: the name does not exist. `no-address`: it exists, without an address of this family. */
export type NameAnswer =
  | {
      readonly kind: 'addresses';
      readonly addresses: readonly string[];
      /** The smallest of the addresses and of the aliases that lead to them. */
      readonly ttlMs: number;
    }
  | { readonly kind: 'not-found' | 'no-address'; readonly ttlMs: number };

/** What a resolver keeps and has asked, read at any time. */
export interface ResolverStats extends NameSourceStats {
  /** Names kept. */
  readonly names: number;
  readonly watchedNames: number;
  /** Questions that the source is answering. */
  readonly inFlight: number;
  /** Questions that wait for their turn. */
  readonly waiting: number;
  /** Calls answered at once. */
  readonly hits: number;
  /** Calls that had to wait for an answer. */
  readonly misses: number;
  /** Calls answered with an expired answer. */
  readonly staleAnswers: number;
  /** How long ago the oldest answer expired that could not be renewed since; 0: there is none. */
  readonly staleAgeMs: number;
  /** Calls that rejected. */
  readonly failures: number;
  /** Answers renewed before they expired. */
  readonly prefetches: number;
  /** Changes of a name's addresses. */
  readonly changes: number;
  /** Names dropped at the bound. */
  readonly evictions: number;
  /** Addresses placed last. */
  readonly failedAddresses: number;
}

/** What was asked of name servers since the resolver was made. */
export interface NameSourceStats {
  /** Datagrams and TCP messages sent. */
  readonly queries: number;
  /** Of these over TCP. */
  readonly tcpQueries: number;
  /** Of these to a further server, because the first was slow. */
  readonly hedges: number;
  /** Answers that were not to our question, and were ignored. */
  readonly ignoredAnswers: number;
  readonly servers: readonly NameServerStats[];
}

/** How one name server fared. */
export interface NameServerStats {
  /** `address:port` */
  readonly server: string;
  /** Smoothed; `undefined` before its first answer. */
  readonly roundTripMs: number | undefined;
  /** Failures since its last answer. */
  readonly consecutiveFailures: number;
}
