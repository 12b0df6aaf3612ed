import { InvalidOptionError } from '@holdfast/foundation';

/** One host, as its URL says. The password is in here: an address is never shown, its `name` is. */
export interface Address {
  /** `host:port`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** For pg, which reads user, database, `sslmode` and so on from it. */
  readonly url: string;
}

const PERMITTED = 'a URL such as postgres://user:password@host:5432/name';

/** @throws InvalidOptionError without anything secret in it. */
export function parseAddress(value: unknown, field: string, owner: string): Address {
  if (typeof value !== 'string') throw new InvalidOptionError(owner, field, value, PERMITTED);
  const refuse = (): InvalidOptionError =>
    new InvalidOptionError(owner, field, redacted(value), PERMITTED);
  if (!URL.canParse(value)) throw refuse();
  const url = new URL(value);
  if (!['postgres:', 'postgresql:'].includes(url.protocol) || url.hostname === '') throw refuse();
  // Several hosts in one URL, as libpq takes them, would be one name that nobody has.
  if (url.port === '0' || url.hostname.includes(',')) throw refuse();
  const host = decoded(url.hostname.replace(/^\[(.*)\]$/, '$1'), refuse);
  decoded(url.username, refuse);
  decoded(url.password, refuse);
  decoded(url.pathname, refuse);
  const port = url.port === '' ? 5_432 : Number(url.port);
  return { name: `${url.hostname}:${port}`, host, port, url: value };
}

function decoded(part: string, refuse: () => Error): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw refuse();
  }
}

/** What stands before the last `@` may be a secret, however broken the URL is; so may the parameters. */
function redacted(value: string): string {
  const [before = ''] = value.split('?');
  const at = before.lastIndexOf('@');
  if (at < 0) return before;
  const scheme = /^\w+:\/\//.exec(before)?.[0] ?? '';
  return `${scheme}***${before.slice(at)}`;
}
