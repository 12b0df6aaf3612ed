import type { ConnectionOptions } from 'node:tls';
import { InvalidOptionError } from '@holdfast/foundation';
import { tlsOf } from './url-tls.ts';

/** What a URL's parameters say of the session. */
export interface SessionParameters {
  readonly applicationName?: string;
  readonly fallbackApplicationName?: string;
  readonly connectTimeoutMs?: number;
  /** Command-line options of the backend, such as `-c search_path=shop`. */
  readonly options?: string;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  readonly idleInTransactionSessionTimeoutMs?: number;
  readonly sslNegotiation?: 'postgres' | 'direct';
  readonly channelBinding?: 'disable' | 'prefer' | 'require';
}

const LONGEST_MS = 2_147_483_647;
const DAY_S = 86_400;

/** The parameters that a URL may have. Reads its value, or returns `undefined` for one that is not permitted. */
const parameters: Readonly<
  Record<string, { permitted: string; read: (value: string) => SessionParameters | undefined }>
> = {
  application_name: text((applicationName) => ({ applicationName })),
  fallback_application_name: text((fallbackApplicationName) => ({ fallbackApplicationName })),
  options: text((options) => ({ options })),
  connect_timeout: whole(DAY_S, (seconds) => ({ connectTimeoutMs: seconds * 1_000 })),
  statement_timeout: whole(LONGEST_MS, (statementTimeoutMs) => ({ statementTimeoutMs })),
  lock_timeout: whole(LONGEST_MS, (lockTimeoutMs) => ({ lockTimeoutMs })),
  idle_in_transaction_session_timeout: whole(LONGEST_MS, (idleInTransactionSessionTimeoutMs) => ({
    idleInTransactionSessionTimeoutMs,
  })),
  client_encoding: {
    permitted: 'UTF8',
    read: (value) => (/^utf-?8$/i.test(value) ? {} : undefined),
  },
  sslnegotiation: {
    permitted: 'postgres or direct',
    read: (sslNegotiation) =>
      sslNegotiation === 'postgres' || sslNegotiation === 'direct' ? { sslNegotiation } : undefined,
  },
  channel_binding: {
    permitted: 'disable, prefer or require',
    read: (channelBinding) =>
      channelBinding === 'disable' || channelBinding === 'prefer' || channelBinding === 'require'
        ? { channelBinding }
        : undefined,
  },
};

/** Read together, because each changes the meaning of the others. */
const TLS = ['ssl', 'sslmode', 'sslcert', 'sslkey', 'sslpassword', 'sslrootcert', 'uselibpqcompat'];

/** Parts of the URL that pg also accepts as parameters. */
const PARTS = ['host', 'hostaddr', 'port', 'user', 'password', 'dbname', 'db'];

/** @throws InvalidOptionError naming the parameter; its value may be a secret and is not shown. */
export function parseParameters(
  given: URLSearchParams,
  field: string,
  owner: string,
): {
  readonly tls: (() => boolean | ConnectionOptions) | undefined;
  readonly parameters: SessionParameters;
} {
  const tls = new Map<string, string>();
  const seen = new Set<string>();
  const session: SessionParameters = {};
  for (const [name, value] of given) {
    const refuse = (permitted: string): InvalidOptionError =>
      new InvalidOptionError(owner, `${field}?${shown(name, value, seen)}`, '***', permitted);
    if (seen.has(name)) throw refuse('given only once');
    seen.add(name);
    if (TLS.includes(name)) {
      tls.set(name, value);
      continue;
    }
    if (PARTS.includes(name)) throw refuse(`left out: the ${name} belongs into the URL itself`);
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (parameter === undefined) {
      throw refuse(`left out; known are ${[...Object.keys(parameters), ...TLS].join(', ')}`);
    }
    const read = value === '' ? undefined : parameter.read(value);
    if (read === undefined) throw refuse(parameter.permitted);
    Object.assign(session, read);
  }
  const isNeeded = session.sslNegotiation === 'direct' || session.channelBinding === 'require';
  return { tls: tlsOf(tls, isNeeded, field, owner), parameters: session };
}

/** What is no plain word with a value, or comes after a password, may be a part of a secret. */
function shown(name: string, value: string, before: ReadonlySet<string>): string {
  const known = [...Object.keys(parameters), ...TLS, ...PARTS];
  if (known.includes(name)) return name;
  const isAfterSecret = ['password', 'sslpassword'].some((secret) => before.has(secret));
  return /^[a-z_]{2,40}$/i.test(name) && value !== '' && !isAfterSecret ? name : '***';
}

function text(read: (value: string) => SessionParameters): (typeof parameters)[string] {
  return { permitted: 'a text', read };
}

function whole(
  max: number,
  read: (value: number) => SessionParameters,
): (typeof parameters)[string] {
  return {
    permitted: `a whole number from 1 to ${max}`,
    read: (value) => {
      const number = /^\d{1,10}$/.test(value) ? Number(value) : 0;
      return number >= 1 && number <= max ? read(number) : undefined;
    },
  };
}
