import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type Clock,
  InvalidOptionError,
  type Random,
  type OptionRule,
  type ResolvedOptions,
  callback,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { type Party, writeCertificate } from '@holdfast/protocols/x509';

/** A private key and its certificate as PEM, for `tls.createServer`. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

export interface CertificateOptions {
  /** 1 to 100 DNS names, also with a leading `*.`, and IP addresses. */
  hostnames: readonly string[];
  /** Not valid before, in milliseconds since the Unix epoch. Default: a day ago. */
  validFromMs?: number;
  /** Not valid after. Default: 90 days later. Fractions of a second are cut off. */
  validToMs?: number;
}

export interface CertificateAuthorityOptions {
  /** The authority's name. Default `Holdfast test authority` and a random number. */
  commonName?: string;
  clock?: Clock;
  /** Draws serial numbers; keys come from the system's random source. */
  random?: Random;
}

/** Signs certificates for clients that trust its own. For tests only, since its key is in memory. */
export interface CertificateAuthority {
  /** Its certificate as PEM, for a client's `ca`. */
  readonly certificate: string;
  /** @throws InvalidOptionError */
  issue(options: CertificateOptions): Credentials;
}

const DAY_MS = 86_400_000;
/** From 1950, the first year of the short form of a date, to the end of the long form. */
const FIRST_DATE_MS = -631_152_000_000;
const LAST_DATE_MS = 253_402_300_799_000;
const MAX_HOSTNAMES = 100;
const SERIAL_BYTES = 16;
const AUTHORITY_LIFE_MS = 3_650 * DAY_MS;

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const dnsName = new RegExp(String.raw`^(?:\*\.)?${label}(?:\.${label})*$`, 'i');

/** Accepts the host names of a certificate. */
export const hostnamesRule: OptionRule<readonly string[]> = {
  permitted: `an array of 1 to ${MAX_HOSTNAMES} DNS names and IP addresses`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_HOSTNAMES) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return value.map((name: unknown, index) => {
      if (typeof name === 'string' && name.length <= 253 && isHostname(name)) return name;
      const permitted = 'a DNS name (a wildcard only in front) or an IP address';
      throw new InvalidOptionError(owner, `${field}[${index}]`, name, permitted);
    });
  },
};

/** An address with a zone, such as fe80::1%lo, has a meaning on one machine only. */
function isHostname(name: string): boolean {
  return dnsName.test(name) || (isIP(name) > 0 && !name.includes('%'));
}

const date = optional(integer({ min: FIRST_DATE_MS, max: LAST_DATE_MS }));
const certificateShape = { hostnames: hostnamesRule, validFromMs: date, validToMs: date };
const authorityShape = {
  commonName: optional(string({ maxLength: 64 })),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};
const selfSignedShape = {
  ...certificateShape,
  clock: authorityShape.clock,
  random: authorityShape.random,
};

/** @throws InvalidOptionError */
export function createCertificateAuthority(
  options: CertificateAuthorityOptions = {},
): CertificateAuthority {
  const owner = 'createCertificateAuthority';
  const { commonName, clock, random } = parseOptions(owner, authorityShape, options);
  const { privateKey, publicKey } = newKeys();
  // A client that trusts one of two authorities of the same name would confuse them.
  const drawn = drawSerial(random).toString('hex', 0, 4);
  const self: Party = { commonName: commonName ?? `Holdfast test authority ${drawn}`, publicKey };
  const validFromMs = clock.epochMs() - DAY_MS;
  const certificate = writeCertificate(
    {
      serial: drawSerial(random),
      subject: self,
      issuer: self,
      validFromMs,
      validToMs: validFromMs + AUTHORITY_LIFE_MS,
      role: 'authority',
    },
    privateKey,
  );
  return {
    certificate,
    issue(given) {
      const read = parseOptions('CertificateAuthority.issue', certificateShape, given);
      const keys = newKeys();
      const subject = { commonName: subjectName(read.hostnames), publicKey: keys.publicKey };
      const cert = writeCertificate(
        {
          serial: drawSerial(random),
          subject,
          issuer: self,
          ...validity('CertificateAuthority.issue', read, clock),
          role: { hostnames: read.hostnames },
        },
        privateKey,
      );
      return { key: pemOf(keys.privateKey), cert };
    },
  };
}

/** Creates a certificate signed with its own key. @throws InvalidOptionError */
export function createSelfSignedCertificate(
  options: CertificateOptions & Pick<CertificateAuthorityOptions, 'clock' | 'random'>,
): Credentials {
  const owner = 'createSelfSignedCertificate';
  const read = parseOptions(owner, selfSignedShape, options);
  const { privateKey, publicKey } = newKeys();
  const self = { commonName: subjectName(read.hostnames), publicKey };
  const cert = writeCertificate(
    {
      serial: drawSerial(read.random),
      subject: self,
      issuer: self,
      ...validity(owner, read, read.clock),
      role: { hostnames: read.hostnames },
    },
    privateKey,
  );
  return { key: pemOf(privateKey), cert };
}

function validity(
  owner: string,
  given: ResolvedOptions<typeof certificateShape>,
  clock: Clock,
): { validFromMs: number; validToMs: number } {
  const validFromMs = given.validFromMs ?? (given.validToMs ?? clock.epochMs()) - DAY_MS;
  const validToMs = given.validToMs ?? Math.min(LAST_DATE_MS, validFromMs + 90 * DAY_MS);
  if (validToMs < validFromMs) {
    const permitted = `a whole number from validFromMs (${validFromMs}) to ${LAST_DATE_MS}`;
    throw new InvalidOptionError(owner, 'validToMs', validToMs, permitted);
  }
  return { validFromMs, validToMs };
}

/** RFC 5280 limits a common name to 64 characters; clients use the list of names. */
function subjectName(hostnames: readonly string[]): string {
  return (hostnames[0] ?? '').slice(0, 64);
}

function newKeys(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A positive number (RFC 5280, section 4.1.2.2). */
function drawSerial(random: Random): Buffer {
  const bytes = Array.from({ length: SERIAL_BYTES }, () => Math.floor(random() * 256));
  return Buffer.from([0x40 | ((bytes[0] ?? 0) & 0x3f), ...bytes.slice(1)]);
}
