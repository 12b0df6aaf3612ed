import { InvalidOptionError } from '@holdfast/foundation';

/** One host of the URL. It contains the password, so messages show its `name`, never the address. */
export interface Address {
  /** `host:port`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** For pg, which parses user, database, `sslmode` and so on. */
  readonly url: string;
}

const PERMITTED = 'a URL such as postgres://user:password@host:5432/name';

/** @throws InvalidOptionError, without any secret in its message. */
export function parseAddress(value: unknown, field: string, owner: string): Address {
  if (typeof value !== 'string') throw new InvalidOptionError(owner, field, value, PERMITTED);
  const invalid = (): InvalidOptionError =>
    new InvalidOptionError(owner, field, redacted(value), PERMITTED);
  if (!URL.canParse(value)) throw invalid();
  const url = new URL(value);
  if (!['postgres:', 'postgresql:'].includes(url.protocol) || url.hostname === '') throw invalid();
  // Several hosts in one URL, as libpq accepts them, would be looked up as one name.
  if (url.port === '0' || url.hostname.includes(',')) throw invalid();
  const host = decoded(url.hostname.replace(/^\[(.*)\]$/, '$1'), invalid);
  decoded(url.username, invalid);
  decoded(url.password, invalid);
  decoded(url.pathname, invalid);
  const port = url.port === '' ? 5_432 : Number(url.port);
  return { name: `${url.hostname}:${port}`, host, port, url: value };
}

function decoded(part: string, invalid: () => Error): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid();
  }
}

/** Text before the last `@` may be a secret, however malformed the URL is; so may the parameters. */
function redacted(value: string): string {
  const [before = ''] = value.split('?');
  const at = before.lastIndexOf('@');
  if (at < 0) return before;
  const scheme = /^\w+:\/\//.exec(before)?.[0] ?? '';
  return `${scheme}***${before.slice(at)}`;
}
