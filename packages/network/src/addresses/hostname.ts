import { domainToASCII } from 'node:url';

/** A name of DNS as all parts of the package write it. */
interface CanonicalName {
  /** In lower case and ASCII, without the last dot. */
  readonly name: string;
  /** Whether it had a last dot. */
  readonly isAbsolute: boolean;
  /** Whether `inet_aton` would take it for an address, such as `2130706433` or `0x7f.1`. */
  readonly isNumeric: boolean;
}

const MAX_NAME_LENGTH = 253;
const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const dnsName = new RegExp(String.raw`^${label}(?:\.${label})*$`);
const numericEnd = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;
// oxlint-disable-next-line no-control-regex -- ASCII begins with them
const ascii = /^[\x00-\x7f]*$/;

/** `undefined` for what is no name of DNS. */
export function canonicalName(given: unknown): CanonicalName | undefined {
  if (typeof given !== 'string' || given.length > 4 * MAX_NAME_LENGTH) return undefined;
  const spelled = ascii.test(given) ? given.toLowerCase() : domainToASCII(given);
  const isAbsolute = spelled.endsWith('.');
  const name = isAbsolute ? spelled.slice(0, -1) : spelled;
  if (name.length > MAX_NAME_LENGTH || !dnsName.test(name)) return undefined;
  return { name, isAbsolute, isNumeric: numericEnd.test(name) };
}
