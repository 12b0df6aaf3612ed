import { type X509Certificate, createHash } from 'node:crypto';
import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';
import type { Chain } from './presented-chain.ts';

/** The digests that are permitted for a host name, or for all names below one. */
export type Pins = ReadonlyMap<string, ReadonlySet<string>>;

const DIGEST = /^(?:sha256\/)?([A-Za-z0-9+/]{43}=)$/;
const LEAST_PINS = 2;

export const pinsRule: OptionRule<Pins> = {
  permitted: 'an object of host names and their pins',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return new Map(
      Object.entries(value).map(([name, digests]) => [
        name.toLowerCase(),
        parseDigests(digests, `${field}.${name}`, owner),
      ]),
    );
  },
  defaultValue: () => new Map(),
};

function parseDigests(value: unknown, field: string, owner: string): ReadonlySet<string> {
  const digests = new Set<string>();
  for (const digest of Array.isArray(value) ? value : []) {
    const [, found] = (typeof digest === 'string' && DIGEST.exec(digest)) || [];
    if (found === undefined) {
      const permitted = 'base64 SHA-256 digests of public keys, such as sha256/...=';
      throw new InvalidOptionError(owner, field, digest, permitted);
    }
    digests.add(found);
  }
  if (digests.size >= LEAST_PINS) return digests;
  const permitted = `an array of at least ${LEAST_PINS} pins: one in use and a backup`;
  throw new InvalidOptionError(owner, field, value, permitted);
}

/** Whether the chain has a public key that is pinned for the name; also when no pin is. */
export function matchesPins(pins: Pins, hostname: string, chain: Chain): boolean {
  const parent = hostname.replace(/^[^.]+/, '*');
  const permitted = pins.get(hostname) ?? pins.get(parent);
  return permitted === undefined || chain.some((each) => permitted.has(publicKeyDigest(each)));
}

function publicKeyDigest({ publicKey }: X509Certificate): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
}
