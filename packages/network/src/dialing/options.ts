import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { DialOptions, DialTarget } from '../network.ts';
import { type ResolvedTlsPolicy, tlsPolicyRule } from '../tls/resolved-policy.ts';
import { type AddressPolicy, createAddressPolicy } from './address-policy.ts';
import type { DialerResolver } from './dialer.ts';
import { type ParsedHost, parseHost } from './parse-host.ts';

const MAX_ALTERNATES = 32;
const MAX_PROTOCOLS = 16;

const familyRule: OptionRule<0 | 4 | 6> = {
  permitted: '0, 4 or 6',
  parse(value, field, owner) {
    if (value === 0 || value === 4 || value === 6) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => 0,
};

const allowPrivateRule: OptionRule<AddressPolicy> = {
  permitted: 'true, false or an array of IP addresses and networks such as 10.0.0.0/8',
  parse(value, field, owner) {
    if (typeof value === 'boolean' || Array.isArray(value)) {
      return createAddressPolicy(value, field, owner);
    }
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: (field, owner) => createAddressPolicy(false, field, owner),
};

const timeoutMs = { min: 1, max: 3_600_000 };

const shape = {
  resolver: optional(objectWith<DialerResolver>(['resolve'])),
  timeoutMs: integer({ ...timeoutMs, default: 10_000 }),
  attemptDelayMs: integer({ min: 10, max: 60_000, default: 250 }),
  failedAddressMs: integer({ min: 0, max: 3_600_000, default: 30_000 }),
  family: familyRule,
  allowPrivate: allowPrivateRule,
  tls: tlsPolicyRule,
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

export interface ResolvedDialerOptions {
  readonly resolver: DialerResolver | undefined;
  readonly timeoutMs: number;
  readonly attemptDelayMs: number;
  readonly failedAddressMs: number;
  readonly family: 0 | 4 | 6;
  readonly allowPrivate: AddressPolicy;
  readonly tls: ResolvedTlsPolicy;
  readonly clock: Clock;
}

/** @throws InvalidOptionError */
export function parseDialerOptions(owner: string, given: unknown): ResolvedDialerOptions {
  return parseOptions(owner, shape, given);
}

/** A target whose host has been read. */
export interface Destination {
  readonly target: DialTarget;
  readonly host: ParsedHost;
}

const signalRule: OptionRule<AbortSignal> = {
  permitted: 'an AbortSignal',
  parse(value, field, owner) {
    if (value instanceof AbortSignal) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const protocolsRule: OptionRule<readonly string[]> = {
  permitted: `an array of at most ${MAX_PROTOCOLS} protocols of 1 to 255 characters`,
  parse(value, field, owner) {
    const isProtocol = (each: unknown): boolean =>
      typeof each === 'string' && each.length > 0 && each.length <= 255;
    if (Array.isArray(value) && value.length <= MAX_PROTOCOLS && value.every(isProtocol)) {
      return value;
    }
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => [],
};

const alternatesRule: OptionRule<readonly Destination[]> = {
  permitted: `an array of at most ${MAX_ALTERNATES} targets`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length > MAX_ALTERNATES) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return value.map((each: unknown, index) => parseTarget(owner, each, `${field}[${index}]`));
  },
  defaultValue: () => [],
};

const callShape = {
  signal: optional(signalRule),
  timeoutMs: optional(integer(timeoutMs)),
  protocols: protocolsRule,
  alternates: alternatesRule,
};

export interface ResolvedDialOptions {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly protocols: readonly string[];
  readonly alternates: readonly Destination[];
}

/** @throws InvalidOptionError */
export function parseDialOptions(owner: string, given: DialOptions): ResolvedDialOptions {
  return parseOptions(owner, callShape, given);
}

const secureRule: OptionRule<boolean> = {
  permitted: 'true or false',
  parse(value, field, owner) {
    if (typeof value === 'boolean') return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const hostnameRule: OptionRule<ParsedHost> = {
  permitted: 'a DNS name or an IP address',
  parse: (value, field, owner) => parseHost(value, field, owner),
};

const targetShape = {
  hostname: hostnameRule,
  port: integer({ min: 1, max: 65_535 }),
  secure: secureRule,
};

/** @throws InvalidOptionError */
export function parseTarget(owner: string, given: unknown, path: string): Destination {
  const { hostname: host, port, secure } = parseOptions(owner, targetShape, given, path);
  const hostname = host.kind === 'name' ? host.name : host.address;
  return { target: { hostname, port, secure }, host };
}
