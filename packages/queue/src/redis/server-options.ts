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
}

/** The servers to connect to. */
export type RedisServerOptions =
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

/** The servers to connect to, validated and with every default filled in. */
export type RedisServer =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'connect'; readonly connect: RedisConnector }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly ResolvedAddress[];
      readonly name: string;
      readonly sentinelPassword: string | undefined;
      readonly login: ResolvedLogin;
    }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly ResolvedAddress[];
      readonly login: ResolvedLogin;
    };

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
};

/** @throws InvalidOptionError */
export function parseRedisServer(owner: string, given: unknown): RedisServer {
  const parsed = parseOptions(owner, shape, given, 'redis');
  const { url, connect, sentinels, cluster, name, sentinelPassword } = parsed;
  const kinds = [url, connect, sentinels, cluster].filter((kind) => kind !== undefined);
  if (kinds.length !== 1) throw new InvalidOptionError(owner, 'redis', given, KINDS);
  const { username, password, tls } = parsed;
  const login = { username, password, tls: tls ?? false };
  if (sentinels !== undefined) {
    if (name === undefined) {
      const permitted = 'the name under which the Sentinels know the primary';
      throw new InvalidOptionError(owner, 'redis.name', name, permitted);
    }
    return { kind: 'sentinel', sentinels, name, sentinelPassword, login };
  }
  assertAbsent(owner, { name, sentinelPassword }, 'absent without sentinels');
  if (cluster !== undefined) return { kind: 'cluster', nodes: cluster, login };
  assertAbsent(
    owner,
    { username, password, tls },
    'part of the url, or of the client that connect makes',
  );
  if (connect !== undefined) return { kind: 'connect', connect };
  if (url !== undefined && isRedisUrl(url)) return { kind: 'url', url };
  const shown = url?.replace(/\/\/[^@/]*@/u, '//***@');
  throw new InvalidOptionError(owner, 'redis.url', shown, 'a redis:// or rediss:// URL');
}

function isRedisUrl(url: string): boolean {
  return URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol);
}

/** Rejects fields that conflict with the chosen kind of server; the message hides their values. */
function assertAbsent(owner: string, fields: Record<string, unknown>, permitted: string): void {
  for (const [field, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    throw new InvalidOptionError(owner, `redis.${field}`, '***', permitted);
  }
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
