import { once } from 'node:events';
import type { Server } from 'node:net';
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

interface Address {
  readonly host: string;
  readonly port: number;
}

const host = string({ maxLength: 253, default: '127.0.0.1' });

/** {@link ProxyAddresses} with every default applied. */
export interface ResolvedProxyAddresses {
  readonly target: Address;
  readonly listen: Address;
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

/** Listens and resolves with the port. @throws ProxyListenError */
export async function listenOn(server: Server, address: Address): Promise<number> {
  server.listen({ ...address });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new ProxyListenError(address.host, address.port, cause);
  }
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : address.port;
}

/** Returns `http://host:port`, without a trailing slash. */
export function urlOf(hostname: string, port: number): string {
  return `http://${hostInUrl(hostname)}:${port}`;
}

/** Returns a host as a URL contains it, an IPv6 address in brackets. */
export function hostInUrl(hostname: string): string {
  return hostname.includes(':') ? `[${hostname}]` : hostname;
}
