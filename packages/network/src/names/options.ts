import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type OptionsSchema,
  type Random,
  boolean,
  callback,
  integer,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { parseHostname } from './hostname.ts';
import type { NameSource, ResolverOptions } from './resolver.ts';

export const MAX_TTL_MS: number = 7 * 86_400_000;
const DAY_MS = 86_400_000;
const LONGEST_MS = 2_147_483_647;
const DNS_PORT = 53;
const MAX_SERVERS = 8;
const MAX_SEARCH = 32;

/** A name server. */
export interface ServerAddress {
  readonly address: string;
  readonly port: number;
}

const cryptoRandom: Random = () => randomInt(2 ** 32) / 2 ** 32;

/** `address`, `address:port` or `[address]:port`. */
export function parseServer(text: string): ServerAddress | undefined {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT };
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  const number = Number(port);
  if (address === undefined || number < 1 || number > 65_535) return undefined;
  return isIP(address) === (bracketed === undefined ? 4 : 6)
    ? { address, port: number }
    : undefined;
}

const serversRule: OptionRule<readonly ServerAddress[]> = {
  permitted: `an array of 1 to ${MAX_SERVERS} IP addresses, each with a port or without`,
  parse(value, field, owner) {
    const isInRange = Array.isArray(value) && value.length > 0 && value.length <= MAX_SERVERS;
    if (!isInRange) throw new InvalidOptionError(owner, field, value, this.permitted);
    return value.map((each: unknown, index) => {
      const server = typeof each === 'string' ? parseServer(each) : undefined;
      if (server !== undefined) return server;
      throw new InvalidOptionError(
        owner,
        `${field}[${index}]`,
        each,
        'an IP address, as 10.0.0.2:53',
      );
    });
  },
};

const searchRule: OptionRule<readonly string[]> = {
  permitted: `an array of up to ${MAX_SEARCH} domains`,
  parse(value, field, owner) {
    const isInRange = Array.isArray(value) && value.length <= MAX_SEARCH;
    if (!isInRange) throw new InvalidOptionError(owner, field, value, this.permitted);
    const rules = { search: [], ndots: 1 };
    return value.map((domain: unknown, index) => {
      return parseHostname(owner, domain, rules, `${field}[${index}]`).hostname;
    });
  },
};

const hostsRule: OptionRule<string | false> = {
  permitted: 'the path of a file, or false',
  parse(value, field, owner) {
    if (value === false || (typeof value === 'string' && value !== '')) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => '/etc/hosts',
};

const schema = {
  nameservers: optional(serversRule),
  search: optional(searchRule),
  ndots: optional(integer({ min: 0, max: 15 })),
  resolvConf: string({ maxLength: 4_096, default: '/etc/resolv.conf' }),
  hostsFile: hostsRule,
  reloadEveryMs: integer({ min: 10, max: DAY_MS, default: 5_000 }),
  timeoutMs: integer({ min: 1, max: LONGEST_MS, default: 5_000 }),
  minTtlMs: integer({ min: 0, max: MAX_TTL_MS, default: 0 }),
  maxTtlMs: integer({ min: 0, max: MAX_TTL_MS, default: DAY_MS }),
  maxNegativeTtlMs: integer({ min: 0, max: DAY_MS, default: 60_000 }),
  staleMs: integer({ min: 0, max: MAX_TTL_MS, default: DAY_MS }),
  staleWaitMs: integer({ min: 0, max: LONGEST_MS, default: 500 }),
  staleOnNxdomain: boolean(false),
  familyOrder: optional(oneOf(['ipv4first', 'ipv6first'])),
  maxNames: integer({ min: 1, max: 1_000_000, default: 10_000 }),
  maxInFlight: integer({ min: 1, max: 1_024, default: 64 }),
  maxWaiting: integer({ min: 0, max: 100_000, default: 1_000 }),
  source: optional(objectWith<NameSource>(['ask'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(cryptoRandom),
} satisfies OptionsSchema<ResolverOptions>;

/** Options with their defaults. */
export interface ResolverSettings extends Omit<
  Required<ResolverOptions>,
  'nameservers' | 'search' | 'ndots' | 'familyOrder' | 'source'
> {
  readonly nameservers: readonly ServerAddress[] | undefined;
  readonly search: readonly string[] | undefined;
  readonly ndots: number | undefined;
  readonly familyOrder: ResolverOptions['familyOrder'];
  readonly source: NameSource | undefined;
}

/** @throws InvalidOptionError */
export function parseResolverOptions(given: unknown): ResolverSettings {
  const settings = parseOptions('createResolver', schema, given);
  if (settings.minTtlMs > settings.maxTtlMs) {
    const permitted = `at most maxTtlMs (${settings.maxTtlMs})`;
    throw new InvalidOptionError('createResolver', 'minTtlMs', settings.minTtlMs, permitted);
  }
  return settings;
}

export const timeoutRule: OptionRule<number> = integer({ min: 1, max: LONGEST_MS });
