import { isIP } from 'node:net';
import { InvalidOptionError } from '@holdfast/foundation';
import { canonicalName } from '../addresses/hostname.ts';

/** What to dial: a literal address, or a name to resolve. */
export type ParsedHost =
  | { readonly kind: 'address'; readonly address: string; readonly family: 4 | 6 }
  | { readonly kind: 'name'; readonly name: string };

const PERMITTED = 'a DNS name or an IP address';

/**
 * Reads a host as the system's resolver would, so that a number such as `2130706433` or `0x7f.1` is seen to be an address
 * before it is checked. Names are returned in lower case, in ASCII, without the last dot.
 * @throws InvalidOptionError
 */
export function parseHost(given: unknown, field: string, owner: string): ParsedHost {
  const refuse = (): never => {
    throw new InvalidOptionError(owner, field, given, PERMITTED);
  };
  if (typeof given !== 'string' || given === '') return refuse();
  const bare = given.startsWith('[') && given.endsWith(']') ? given.slice(1, -1) : given;
  const family = isIP(bare);
  if (family === 4) return { kind: 'address', address: bare, family };
  if (family === 6) return { kind: 'address', address: bare.toLowerCase(), family };
  // Of a name in brackets, or one with a colon, nothing sensible is meant.
  if (bare !== given || given.includes(':')) return refuse();
  const canonical = canonicalName(given);
  if (canonical === undefined) return refuse();
  const { name, isNumeric } = canonical;
  if (!isNumeric) return { kind: 'name', name };
  const address = parseNumericAddress(name.split('.'));
  return address === undefined ? refuse() : { kind: 'address', address, family: 4 };
}

/** The forms of `inet_aton`: one to four numbers, octal after 0, hexadecimal after 0x; the last fills what is left. */
function parseNumericAddress(parts: readonly string[]): string | undefined {
  if (parts.length > 4) return undefined;
  const numbers = parts.map(parseNumber);
  const last = numbers.at(-1) ?? NaN;
  const before = numbers.slice(0, -1);
  const lastBytes = 4 - before.length;
  if (!before.every((number) => number <= 255) || !(last < 256 ** lastBytes)) return undefined;
  const value = before.reduce((sum, byte, index) => sum + byte * 256 ** (3 - index), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** NaN for a digit that the base does not have. */
function parseNumber(text: string): number {
  if (text.startsWith('0x')) return text === '0x' ? 0 : Number(text);
  if (!/^\d+$/.test(text)) return NaN;
  if (text.length === 1 || !text.startsWith('0')) return Number(text);
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN;
}
