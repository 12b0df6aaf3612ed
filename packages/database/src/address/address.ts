import type { ConnectionOptions } from 'node:tls';
import { InvalidOptionError } from '@holdfast/foundation';
import { type SessionParameters, parseParameters } from './url-parameters.ts';

/** One host, as its URL says. It contains the password, so messages show its `name` only. */
export interface Address {
  /** `host:port`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** TLS as the URL asks for it; `undefined`: it says nothing. Files are read at each call. */
  readonly tls: (() => boolean | ConnectionOptions) | undefined;
  readonly parameters: SessionParameters;
}

const PERMITTED =
  'a URL such as postgres://user:password@host:5432/name; in its user, password and parameters write ? as %3F, # as ' +
  '%23, / as %2F, @ as %40 and % as %25, or give the password as the option of that name';

/** @throws InvalidOptionError, without any secret in its message. */
export function parseAddress(given: unknown, field: string, owner: string): Address {
  if (typeof given !== 'string')
    throw new InvalidOptionError(owner, field, typeof given, PERMITTED);
  const value = given.trim();
  const invalid = (): InvalidOptionError =>
    new InvalidOptionError(owner, field, redacted(value), PERMITTED);
  if (isAmbiguous(value)) throw invalid();
  if (hasBadPort(value))
    throw new InvalidOptionError(owner, field, redacted(value), PERMITTED_PORT);
  if (!URL.canParse(value)) throw invalid();
  const url = new URL(value);
  if (!['postgres:', 'postgresql:'].includes(url.protocol) || url.hostname === '') throw invalid();
  // Several hosts in one URL, as libpq accepts them, would be looked up as one name.
  if (url.hostname.includes(',')) throw invalid();
  const decoded = (part: string): string | undefined => decode(part, invalid);
  const port = url.port === '' ? 5_432 : Number(url.port);
  return {
    name: `${url.hostname}:${port}`,
    host: decoded(url.hostname.replace(/^\[(.*)\]$/, '$1')) ?? '',
    port,
    user: decoded(url.username),
    password: decoded(url.password),
    database: decoded(url.pathname.slice(1)),
    ...parseParameters(url.searchParams, field, owner),
  };
}

const MAX_PORT = 65_535;
const PERMITTED_PORT = `a URL whose port, after the host and a colon, is from 1 to ${MAX_PORT}, or left out for 5432`;

/** Whether the port alone is wrong. */
function hasBadPort(value: string): boolean {
  const [, port = ''] =
    /^\w+:\/\/(?:[^/?@]*@)?[^/?@:]*(?:\[[^\]]*\])?:(\d*)(?:[/?]|$)/.exec(value) ?? [];
  return port !== '' && (Number(port) < 1 || Number(port) > MAX_PORT);
}

/**
 * A URL pasted together with a password that is not escaped: a part of the password would be taken for a host, a port
 * or a parameter. Tabs and line ends are left out by URL, so they would change a password.
 */
export function isAmbiguous(value: string): boolean {
  const [, authority = '', rest = ''] = /^\w+:\/\/([^/?#]*)([\s\S]*)$/.exec(value) ?? [];
  return (
    value.includes('#') ||
    // oxlint-disable-next-line no-control-regex -- They are what is looked for.
    /[\u0000-\u001F\u007F]/.test(value) ||
    rest.includes('@') ||
    authority.split('@').length > 2
  );
}

function decode(part: string, invalid: () => Error): string | undefined {
  if (part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid();
  }
}

/** Only the part behind the one `@` is certainly no secret, and of it not the parameters. */
function redacted(value: string): string {
  const scheme = /^\w+:\/\//.exec(value)?.[0] ?? '';
  const [before = '', after] = value.slice(scheme.length).split('@');
  const isPlain = value.split('@').length === 2 && !/[/?#]/.test(before) && !isAmbiguous(value);
  return isPlain ? `${scheme}***@${after?.split('?')[0] ?? ''}` : `${scheme}***`;
}
