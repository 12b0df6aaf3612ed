import { type OptionRule, boolean, integer, object, string } from '@holdfast/foundation';
import { RemoteTargetError } from '../errors.ts';
import { isLoopback } from './loopback.ts';

/** What every proxy is told about where it stands, and what bounds it. */
export interface ProxyAddresses {
  /** The server behind the proxy. */
  target: { host?: string; port: number };
  /** Where the proxy listens. Default: a free port of 127.0.0.1. */
  listen?: { host?: string; port?: number };
  /** Where chance begins. Default 1. */
  seed?: number;
  /** A target that is not this machine is refused without it. Default false. */
  allowRemote?: boolean;
  /** Connections at one time; further ones are dropped. Default 1 000. */
  maxConnections?: number;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const host = string({ maxLength: 253, default: '127.0.0.1' });

/** Rules for {@link ProxyAddresses}. */
export const addressShape: {
  readonly target: OptionRule<Address>;
  readonly listen: OptionRule<Address>;
  readonly seed: OptionRule<number>;
  readonly allowRemote: OptionRule<boolean>;
  readonly maxConnections: OptionRule<number>;
} = {
  target: object({ host, port: integer({ min: 1, max: 65_535 }) }),
  listen: object({ host, port: integer({ min: 0, max: 65_535, default: 0 }) }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  allowRemote: boolean(false),
  maxConnections: integer({ min: 1, max: 100_000, default: 1_000 }),
};

/** @throws RemoteTargetError unless the target is this machine, or another one is meant. */
export function refuseRemote(target: { host: string }, allowRemote: boolean): void {
  if (!allowRemote && !isLoopback(target.host)) throw new RemoteTargetError(target.host);
}
