import { isIP } from 'node:net';
import { InvalidOptionError } from '@holdfast/foundation';
import { canonicalName } from '../addresses/hostname.ts';

const MAX_NAME_LENGTH = 253;
const PERMITTED = 'a host name or an IP address';

/** Search domains, and from how many dots on a name is complete. */
export interface SearchRules {
  readonly search: readonly string[];
  readonly ndots: number;
}

/** A name as it is kept and asked. */
export interface Hostname {
  /** Equal for spellings of one name: lower case, ASCII; with a last dot only where it changes what is asked. */
  readonly key: string;
  /** Without the last dot. */
  readonly hostname: string;
  /** The names to ask, in this order, until one exists. */
  readonly candidates: readonly string[];
}

/** @throws InvalidOptionError */
export function parseHostname(
  owner: string,
  given: unknown,
  rules: SearchRules,
  field = 'hostname',
): Hostname {
  const canonical = canonicalName(given);
  if (canonical === undefined || canonical.isNumeric) {
    throw new InvalidOptionError(owner, field, given, PERMITTED);
  }
  const { name: hostname, isAbsolute } = canonical;
  if (rules.search.length === 0) return { key: hostname, hostname, candidates: [hostname] };
  const isComplete = hostname.split('.').length > rules.ndots;
  if (isAbsolute) {
    return { key: isComplete ? hostname : `${hostname}.`, hostname, candidates: [hostname] };
  }
  const searched = rules.search
    .map((domain) => `${hostname}.${domain}`)
    .filter((name) => name.length <= MAX_NAME_LENGTH);
  const candidates = isComplete ? [hostname, ...searched] : [...searched, hostname];
  return { key: hostname, hostname, candidates };
}

/** 4 or 6 for an IP address, 0 for anything else. */
export function familyOf(address: string): 0 | 4 | 6 {
  const family = isIP(address);
  return family === 4 || family === 6 ? family : 0;
}

/** `localhost` and the names below it are this machine (RFC 6761, section 6.3). */
export function isLocalhost(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost');
}
