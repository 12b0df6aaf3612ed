import { type KeyObject, X509Certificate, generateKeyPairSync } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type Clock,
  InvalidOptionError,
  type Random,
  type OptionRule,
  type ResolvedOptions,
  boolean,
  callback,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { type Party, writeCertificate, writeRevocationList } from '@holdfast/protocols/x509';

/** A private key and its certificate as PEM, for `tls.createServer`. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

/** Options of one certificate. */
export interface CertificateOptions {
  /** 1 to 100 DNS names, also with a leading `*.`, and IP addresses. */
  hostnames: readonly string[];
  /** Write the first name as the common name only, as old tools did. Default false. */
  commonNameOnly?: boolean;
  /** Not valid before, in milliseconds since the Unix epoch. Default: a day ago. */
  validFromMs?: number;
  /** Not valid after. Default: 90 days later. Fractions of a second are cut off. */
  validToMs?: number;
}

/** Options of `createCertificateAuthority`. */
export interface CertificateAuthorityOptions {
  /** The authority's name. Default `Holdfast test authority` and a random number. */
  commonName?: string;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** Draws serial numbers; keys come from the system's random source. */
  random?: Random;
}

/** Options of a revocation list. */
export interface RevocationListOptions {
  /** Default: a minute ago. */
  thisUpdateMs?: number;
  /** When a newer list is to be expected. Default: 30 days after `thisUpdateMs`; an earlier time makes it stale. */
  nextUpdateMs?: number;
}

/** Signs certificates for clients that trust its own. For tests only, since its key is in memory. */
export interface CertificateAuthority {
  /** Its certificate as PEM, for a client's `ca`. */
  readonly certificate: string;
  /**
   * The certificate of the server; an intermediate authority's own follows it, as a server should send it.
   * @throws InvalidOptionError
   */
  issue(options: CertificateOptions): Credentials;
  /** An authority whose certificate this one has signed. A client that trusts this one needs its certificate too. */
  createIntermediate(): CertificateAuthority;
  /** Adds a certificate to the next revocation lists. @param cert PEM; its first certificate counts. */
  revoke(cert: string): void;
  /** A list of what was revoked, as PEM. @throws InvalidOptionError */
  revocationList(options?: RevocationListOptions): string;
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
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
const certificateShape = {
  hostnames: hostnamesRule,
  commonNameOnly: boolean(false),
  validFromMs: date,
  validToMs: date,
};
const revocationShape = { thisUpdateMs: date, nextUpdateMs: date };
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

/**
 * Makes certificates for tests, right or wrong in one way, and tells clients which authority to trust.
 * @throws InvalidOptionError
 */
export function createCertificateAuthority(
  options: CertificateAuthorityOptions = {},
): CertificateAuthority {
  const owner = 'createCertificateAuthority';
  const { commonName, clock, random } = parseOptions(owner, authorityShape, options);
  // A client that trusts one of two authorities of the same name would confuse them.
  const drawn = drawSerial(random).toString('hex', 0, 4);
  return new Authority(commonName ?? `Holdfast test authority ${drawn}`, { clock, random });
}

class Authority implements CertificateAuthority {
  readonly certificate: string;
  readonly #deps: AuthorityDeps;
  readonly #self: Party;
  readonly #key: KeyObject;
  readonly #isIntermediate: boolean;
  readonly #revoked: Buffer[] = [];

  /** @param sign signs the certificate of an intermediate authority. */
  constructor(commonName: string, deps: AuthorityDeps, sign?: SignAuthority) {
    const { privateKey, publicKey } = newKeys();
    this.#deps = deps;
    this.#self = { commonName, publicKey };
    this.#key = privateKey;
    this.#isIntermediate = sign !== undefined;
    this.certificate = (sign ?? this.#signAuthority)(this.#self);
  }

  issue(given: CertificateOptions): Credentials {
    const owner = 'CertificateAuthority.issue';
    const read = parseOptions(owner, certificateShape, given);
    const keys = newKeys();
    const cert = this.#write({
      subject: { commonName: subjectName(read.hostnames), publicKey: keys.publicKey },
      ...validity(owner, read, this.#deps.clock),
      role: {
        hostnames: read.commonNameOnly ? [] : read.hostnames,
        // As authorities write it into what an intermediate signs; nobody answers there.
        issuerUrl: this.#isIntermediate ? 'http://authority.invalid/issuer.crt' : undefined,
      },
    });
    const chain = this.#isIntermediate ? cert + this.certificate : cert;
    return { key: pemOf(keys.privateKey), cert: chain };
  }

  createIntermediate(): CertificateAuthority {
    const { commonName } = this.#self;
    return new Authority(`${commonName} intermediate`, this.#deps, this.#signAuthority);
  }

  revoke(cert: string): void {
    const { serialNumber } = new X509Certificate(cert);
    this.#revoked.push(Buffer.from(serialNumber, 'hex'));
  }

  revocationList(given: RevocationListOptions = {}): string {
    const read = parseOptions('CertificateAuthority.revocationList', revocationShape, given);
    const thisUpdateMs = read.thisUpdateMs ?? this.#deps.clock.epochMs() - MINUTE_MS;
    const nextUpdateMs = read.nextUpdateMs ?? thisUpdateMs + 30 * DAY_MS;
    return writeRevocationList(
      { issuer: this.#self, thisUpdateMs, nextUpdateMs, revoked: this.#revoked },
      this.#key,
    );
  }

  readonly #signAuthority: SignAuthority = (subject) => {
    const validFromMs = this.#deps.clock.epochMs() - DAY_MS;
    const validToMs = validFromMs + AUTHORITY_LIFE_MS;
    return this.#write({ subject, validFromMs, validToMs, role: 'authority' });
  };

  #write(fields: Omit<Parameters<typeof writeCertificate>[0], 'serial' | 'issuer'>): string {
    const serial = drawSerial(this.#deps.random);
    return writeCertificate({ ...fields, serial, issuer: this.#self }, this.#key);
  }
}

interface AuthorityDeps {
  readonly clock: Clock;
  readonly random: Random;
}

type SignAuthority = (subject: Party) => string;

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
      role: { hostnames: read.commonNameOnly ? [] : read.hostnames },
    },
    privateKey,
  );
  return { key: pemOf(privateKey), cert };
}

function validity(
  owner: string,
  given: Pick<ResolvedOptions<typeof certificateShape>, 'validFromMs' | 'validToMs'>,
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
