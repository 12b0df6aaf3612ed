import { X509Certificate } from 'node:crypto';
import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import type { RevocationList } from '@holdfast/protocols/x509';
import { type Pins, pinsRule } from './pins.ts';
import { parseCrls } from './revocation.ts';

type Pem = string | Buffer | readonly (string | Buffer)[];

const pem: OptionRule<Pem> = {
  permitted: 'text in PEM',
  parse(value, field, owner) {
    const isPem = (each: unknown): each is string | Buffer =>
      (typeof each === 'string' || Buffer.isBuffer(each)) && each.includes('-----BEGIN ');
    if (isPem(value) || (Array.isArray(value) && value.every(isPem))) return value;
    // Never the value: it may be a key.
    throw new InvalidOptionError(owner, field, typeof value, this.permitted);
  },
};

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Node takes unreadable certificates without a word, and then trusts nobody. */
const authorities: OptionRule<Pem> = {
  permitted: 'certificates in PEM',
  parse(value, field, owner) {
    const texts = [pem.parse(value, field, owner)].flat().map(String);
    if (texts.every(isReadable)) return texts;
    throw new InvalidOptionError(owner, field, 'an unreadable certificate', this.permitted);
  },
};

function isReadable(text: string): boolean {
  const certificates = text.match(CERTIFICATE) ?? [];
  try {
    return certificates.map((each) => new X509Certificate(each)).length > 0;
  } catch {
    return false;
  }
}

const crlsRule: OptionRule<readonly RevocationList[]> = {
  permitted: 'an array of certificate revocation lists as PEM or DER',
  parse(value, field, owner) {
    if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
    return parseCrls(value, field, owner);
  },
  defaultValue: () => [],
};

const warnDaysRule: OptionRule<readonly number[]> = {
  permitted: 'an array of at most 10 days from 0 to 3650',
  parse(value, field, owner) {
    const isDay = (day: unknown): boolean => typeof day === 'number' && day >= 0 && day <= 3_650;
    if (Array.isArray(value) && value.length <= 10 && value.every(isDay)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => [21, 7, 1],
};

/** Refuses the switches that turn verification off, and says what to do instead. */
const neverOff: OptionRule<undefined> = {
  permitted:
    'left out: servers are always verified; pass the certificate of a private authority as tls.ca',
  parse(value, field, owner) {
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

const shape = {
  ca: optional(authorities),
  cert: optional(pem),
  key: optional(pem),
  minVersion: oneOf(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2'),
  pins: pinsRule,
  crls: crlsRule,
  crlStale: oneOf(['refuse', 'accept-and-warn'], 'refuse'),
  onRefused: oneOf(['refuse', 'alternate'], 'refuse'),
  warnDays: warnDaysRule,
  drainMs: integer({ min: 0, max: 3_600_000, default: 5_000 }),
  maxSessions: integer({ min: 0, max: 100_000, default: 1_000 }),
  rejectUnauthorized: neverOff,
  checkServerIdentity: neverOff,
};

export interface ResolvedTlsPolicy {
  readonly ca: Pem | undefined;
  readonly cert: Pem | undefined;
  readonly key: Pem | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly pins: Pins;
  readonly crls: readonly RevocationList[];
  readonly crlStale: 'refuse' | 'accept-and-warn';
  readonly onRefused: 'refuse' | 'alternate';
  readonly warnDays: readonly number[];
  readonly drainMs: number;
  readonly maxSessions: number;
}

export const tlsPolicyRule: OptionRule<ResolvedTlsPolicy> = {
  permitted: 'an object',
  parse(value, field, owner) {
    const policy = parseOptions(owner, shape, value, field);
    if ((policy.cert === undefined) !== (policy.key === undefined)) {
      const missing = policy.cert === undefined ? 'cert' : 'key';
      throw new InvalidOptionError(owner, `${field}.${missing}`, undefined, 'given with the other');
    }
    return policy;
  },
  defaultValue: (field, owner) => parseOptions(owner, shape, {}, field),
};
