import type { LookupFunction } from 'node:net';
import {
  InvalidOptionError,
  type OptionRule,
  callback,
  boolean,
  integer,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { hidingSecrets } from './secrets.ts';
import type { RedisConnector } from './connector.ts';

/** Where a server listens. */
export interface RedisAddress {
  host: string;
  /** Default 6379, for a Sentinel 26379. */
  port?: number;
}

/** The credentials for servers that are found through other servers. */
export interface RedisLogin {
  username?: string;
  password?: string;
  /** Uses TLS, and verifies certificates with the system's authorities. Default false. */
  tls?: boolean;
  /**
   * Where servers are reached that name themselves by other addresses, as behind NAT or in containers: the addresses to
   * use, by `'host:port'` as the servers tell it.
   */
  natMap?: Readonly<Record<string, RedisAddress>>;
}

/** The servers to connect to. */
export type RedisServerOptions = RedisServerChoice & {
  /** Finds the address of a name, for each new connection: that of `createResolver`, or in the form of `dns.lookup`. */
  lookup?: LookupFunction;
};

type RedisServerChoice =
  | { url: string }
  /** A function that creates your own ioredis client. */
  | { connect: RedisConnector }
  /** The primary that these Sentinels name; the login is for Redis, not for the Sentinels. */
  | ({ sentinels: readonly RedisAddress[]; name: string; sentinelPassword?: string } & RedisLogin)
  /** Some nodes of a cluster; the others are discovered through them. */
  | ({ cluster: readonly RedisAddress[] } & RedisLogin);

/** An address with its port filled in. */
export interface ResolvedAddress {
  readonly host: string;
  readonly port: number;
}

/** The addresses to use, by the ones that servers tell. */
export type NatMap = ReadonlyMap<string, ResolvedAddress>;

/** The servers to connect to, validated and with every default filled in. */
export type RedisServer = { readonly lookup: LookupFunction | undefined } & (
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'connect'; readonly connect: RedisConnector }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly ResolvedAddress[];
      readonly name: string;
      readonly sentinelPassword: string | undefined;
      readonly login: ResolvedLogin;
      readonly natMap: NatMap;
    }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly ResolvedAddress[];
      readonly login: ResolvedLogin;
      readonly natMap: NatMap;
    }
);

export interface ResolvedLogin {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
}

const MAX_ADDRESSES = 100;
const KINDS = 'one of { url }, { connect }, { sentinels, name } and { cluster }';

const shape = {
  url: optional(string({ maxLength: 2_000 })),
  connect: optional(callback<RedisConnector>()),
  sentinels: optional(addresses(26_379)),
  name: optional(string({ maxLength: 200 })),
  sentinelPassword: optional(string({ maxLength: 2_000 })),
  cluster: optional(addresses(6_379)),
  username: optional(string({ maxLength: 2_000 })),
  password: optional(string({ maxLength: 2_000 })),
  tls: optional(boolean(false)),
  natMap: optional(natMapRule()),
  lookup: optional(callback<LookupFunction>()),
};

/** @throws InvalidOptionError, which shows no password */
export function parseRedisServer(owner: string, given: unknown): RedisServer {
  // Whatever is at the wrong place may be a password.
  return hidingSecrets(
    owner,
    () => true,
    () => parseServer(owner, given),
  );
}

function parseServer(owner: string, given: unknown): RedisServer {
  const parsed = parseOptions(owner, shape, given, 'redis');
  const { url, connect, sentinels, cluster, name, sentinelPassword, lookup } = parsed;
  const kinds = [url, connect, sentinels, cluster].filter((kind) => kind !== undefined);
  if (kinds.length !== 1) throw new InvalidOptionError(owner, 'redis', given, KINDS);
  const { username, password, tls, natMap } = parsed;
  const addressesToUse = natMap ?? new Map<string, ResolvedAddress>();
  const login = { username, password, tls: tls ?? false };
  if (sentinels !== undefined) {
    if (name === undefined) {
      const permitted = 'the name under which the Sentinels know the primary';
      throw new InvalidOptionError(owner, 'redis.name', name, permitted);
    }
    return {
      kind: 'sentinel',
      lookup,
      sentinels,
      name,
      sentinelPassword,
      login,
      natMap: addressesToUse,
    };
  }
  assertAbsent(owner, { name, sentinelPassword }, 'absent without sentinels');
  if (cluster !== undefined) {
    return { kind: 'cluster', lookup, nodes: cluster, login, natMap: addressesToUse };
  }
  assertAbsent(owner, { natMap }, 'absent without sentinels and cluster');
  assertAbsent(
    owner,
    { username, password, tls },
    'part of the url, or of the client that connect makes',
  );
  if (connect !== undefined) return { kind: 'connect', lookup, connect };
  if (url !== undefined && isRedisUrl(url)) {
    if (databaseOf(url) !== undefined) return { kind: 'url', lookup, url };
    const permitted = 'a URL with the number of a database as its path, or as ?db=, or without one';
    throw new InvalidOptionError(owner, 'redis.url', url, permitted);
  }
  throw new InvalidOptionError(owner, 'redis.url', url, 'a redis:// or rediss:// URL with a host');
}

function isRedisUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  // Without a host, the client would take the local one.
  return ['redis:', 'rediss:'].includes(protocol) && hostname !== '';
}

/** The database that a URL names by its path or by `?db=`; `undefined` when that is no number, or they differ. */
export function databaseOf(url: string): number | undefined {
  const { pathname, searchParams } = new URL(url);
  const named = [pathname.slice(1), ...searchParams.getAll('db')];
  if (named[0] === '') named.shift();
  const databases = new Set(named);
  if (databases.size > 1) return undefined;
  const [database = '0'] = databases;
  return /^(?:0|[1-9]\d{0,8})$/u.test(database) ? Number(database) : undefined;
}

/** Rejects fields that conflict with the chosen kind of server; the message hides their values. */
function assertAbsent(owner: string, fields: Record<string, unknown>, permitted: string): void {
  for (const [field, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    throw new InvalidOptionError(owner, `redis.${field}`, '***', permitted);
  }
}

function natMapRule(): OptionRule<NatMap> {
  const permitted = "an object of addresses { host, port } by 'host:port'";
  const address = {
    host: string({ maxLength: 253 }),
    port: integer({ min: 1, max: 65_535, default: 6_379 }),
  };
  return {
    permitted,
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      const entries: [string, unknown][] = Object.entries(value);
      return new Map(
        entries.map(([known, used]) => {
          if (!/^.+:\d{1,5}$/u.test(known)) {
            throw new InvalidOptionError(owner, `${field}.${known}`, used, permitted);
          }
          return [known, parseOptions(owner, address, used, `${field}.${known}`)];
        }),
      );
    },
  };
}

function addresses(defaultPort: number): OptionRule<ResolvedAddress[]> {
  const permitted = `a list of 1 to ${MAX_ADDRESSES} addresses { host, port }`;
  const address = {
    host: string({ maxLength: 253 }),
    port: integer({ min: 1, max: 65_535, default: defaultPort }),
  };
  return {
    permitted,
    parse(value, field, owner) {
      if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ADDRESSES) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      return value.map((each, index) => parseOptions(owner, address, each, `${field}[${index}]`));
    },
  };
}
