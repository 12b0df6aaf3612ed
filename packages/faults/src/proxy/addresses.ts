import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type Server, isIP } from 'node:net';
import { type OptionRule, boolean, integer, object, string } from '@holdfast/foundation';
import { ProxyListenError, RemoteTargetError } from '../errors.ts';
import { isLoopback } from './loopback.ts';

/** The addresses and limits every proxy takes. */
export interface ProxyAddresses {
  /** The server behind the proxy. */
  target: { host?: string; port: number };
  /** Where the proxy listens. Default: a free port of 127.0.0.1. */
  listen?: { host?: string; port?: number };
  /** The seed of every random decision. Default 1. */
  seed?: number;
  /** Allows a target that is not this machine. Default false. */
  allowRemote?: boolean;
  /** Connections open at one time; further ones are reset. Default 1 000. */
  maxConnections?: number;
}

export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
}

const host = string({ maxLength: 253, default: '127.0.0.1' });

/** {@link ProxyAddresses} with every default applied. */
export interface ResolvedProxyAddresses {
  readonly target: ProxyAddress;
  readonly listen: ProxyAddress;
  readonly seed: number;
  readonly allowRemote: boolean;
  readonly maxConnections: number;
}

/** Rules for {@link ProxyAddresses}. */
export const addressShape: {
  readonly [Name in keyof ResolvedProxyAddresses]: OptionRule<ResolvedProxyAddresses[Name]>;
} = {
  target: object({ host, port: integer({ min: 1, max: 65_535 }) }),
  listen: object({ host, port: integer({ min: 0, max: 65_535, default: 0 }) }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  allowRemote: boolean(false),
  maxConnections: integer({ min: 1, max: 100_000, default: 1_000 }),
};

/** @throws RemoteTargetError for a target that is not this machine, unless it is allowed. */
export function refuseRemote(target: { host: string }, allowRemote: boolean): void {
  if (!allowRemote && !isLoopback(target.host)) throw new RemoteTargetError(target.host);
}

/**
 * Listens and resolves with the address that was bound. Of a name with several addresses it takes the first one that
 * this machine has, IPv4 before IPv6. @throws ProxyListenError
 */
export async function listenOn(server: Server, address: ProxyAddress): Promise<ProxyAddress> {
  const { port } = address;
  try {
    const [first = address.host, ...others] = await addressesOf(address.host);
    await listenOnFirst(server, port, first, others);
  } catch (cause) {
    throw new ProxyListenError(address.host, port, cause);
  }
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) return address;
  return { host: bound.address, port: bound.port };
}

/** Returns the addresses of a host, IPv4 first. @throws the error of the lookup */
export async function addressesOf(hostname: string): Promise<readonly string[]> {
  if (isIP(hostname) !== 0) return [hostname];
  const found = await lookup(hostname, { all: true });
  return found.toSorted((one, other) => one.family - other.family).map(({ address }) => address);
}

async function listenOnFirst(
  server: Server,
  port: number,
  first: string,
  [next, ...others]: readonly string[],
): Promise<void> {
  server.listen({ host: first, port });
  try {
    await once(server, 'listening');
  } catch (error) {
    if (next === undefined || !isMissingAddress(error)) throw error;
    await listenOnFirst(server, port, next, others);
  }
}

/** Returns whether this machine has no such address, as without IPv6. */
function isMissingAddress(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT';
}

/** Returns `http://host:port`, without a trailing slash. */
export function urlOf(hostname: string, port: number): string {
  return `http://${hostInUrl(hostname)}:${port}`;
}

/** Returns a host as a URL contains it, an IPv6 address in brackets. */
export function hostInUrl(hostname: string): string {
  return hostname.includes(':') ? `[${hostname}]` : hostname;
}
