import { type KeyObject, verify } from 'node:crypto';
import {
  extension,
  keyIdentifier,
  nameOf,
  type Party,
  signatureAlgorithm,
  signedPem,
} from './certificate.ts';
import { contextConstructed, contextPrimitive, sequence, time, unsignedInteger } from './der.ts';
import {
  DerError,
  type DerElement,
  readElement,
  readElements,
  readObjectIdentifier,
  readTime,
} from './der-reader.ts';

/** A certificate revocation list (RFC 5280, section 5). */
export interface RevocationList {
  /** The issuer's name as DER. */
  readonly issuer: Buffer;
  readonly thisUpdateMs: number;
  /** When a newer list is to be expected; Infinity where the list does not say. */
  readonly nextUpdateMs: number;
  /** In upper-case hexadecimal without leading zeros, as Node writes them. */
  readonly serialNumbers: ReadonlySet<string>;
  /** Whether the issuer's key has signed it. */
  isSignedBy(publicKey: KeyObject): boolean;
}

interface RevocationListFields {
  readonly issuer: Party;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** The serial numbers as big-endian bytes. */
  readonly revoked: readonly Buffer[];
}

const VERSION_2 = Buffer.from([1]);
const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';
const CRL_NUMBER = '2.5.29.20';
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BOOLEAN = 0x01;
const BIT_STRING = 0x03;
const EXTENSIONS = 0xa0;

/** The digests of the signatures that are accepted; Ed25519 has none of its own. */
const DIGESTS: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null,
};

/**
 * Signs a revocation list and returns it as PEM.
 * @param key the issuer's private key, on the curve P-256.
 */
export function writeRevocationList(fields: RevocationListFields, key: KeyObject): string {
  const { issuer, thisUpdateMs, nextUpdateMs, revoked } = fields;
  const entries = revoked.map((serial) => sequence(unsignedInteger(serial), time(thisUpdateMs)));
  const authority = sequence(contextPrimitive(0, keyIdentifier(issuer)));
  const content = sequence(
    unsignedInteger(VERSION_2),
    signatureAlgorithm,
    nameOf(issuer),
    time(thisUpdateMs),
    time(nextUpdateMs),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    contextConstructed(
      0,
      sequence(
        extension(AUTHORITY_KEY_IDENTIFIER, authority),
        extension(CRL_NUMBER, unsignedInteger(Buffer.from([1]))),
      ),
    ),
  );
  return signedPem('X509 CRL', content, key);
}

/**
 * Reads a whole list. Lists of changes and lists for other issuers are refused: they mean something else.
 * @throws DerError
 */
export function readRevocationList(der: Buffer): RevocationList {
  const outer = expect(readElement(der), SEQUENCE);
  const [content, algorithm, signature, ...rest] = readElements(outer.content);
  const isWhole = outer.bytes.length === der.length && rest.length === 0;
  if (content === undefined || algorithm === undefined || signature === undefined || !isWhole) {
    throw new DerError();
  }
  const digest = digestOf(algorithm);
  const fields = readElements(expect(content, SEQUENCE).content);
  if (fields[0]?.tag === INTEGER) fields.shift();
  const [inner, issuer, thisUpdate, ...others] = fields;
  if (inner === undefined || issuer === undefined || thisUpdate === undefined) throw new DerError();
  // RFC 5280, section 5.1.1.2: what is not signed says the same as what is.
  if (!inner.bytes.equals(algorithm.bytes)) throw new DerError('two algorithms in one list');
  const nextUpdate = others[0] !== undefined && isTime(others[0]) ? others.shift() : undefined;
  const entries = others[0]?.tag === SEQUENCE ? others.shift() : undefined;
  refuseUnknown(others[0]?.tag === EXTENSIONS ? others[0] : undefined);
  // The first byte counts unused bits.
  if (expect(signature, BIT_STRING).content[0] !== 0) throw new DerError();
  const bits = signature.content.subarray(1);
  return {
    issuer: issuer.bytes,
    thisUpdateMs: readTime(thisUpdate),
    nextUpdateMs: nextUpdate === undefined ? Infinity : readTime(nextUpdate),
    serialNumbers: new Set(readElements(entries?.content ?? Buffer.alloc(0)).map(serialOf)),
    isSignedBy: (publicKey) => {
      try {
        return verify(digest, content.bytes, publicKey, bits);
      } catch {
        // A key of another kind.
        return false;
      }
    },
  };
}

/** The issuer's name of a certificate, as DER. @throws DerError */
export function issuerNameOf(certificate: Buffer): Buffer {
  const [content] = readElements(readElement(certificate).content);
  const fields = readElements(content?.content ?? Buffer.alloc(0));
  const issuer = fields[fields[0]?.tag === EXTENSIONS ? 3 : 2];
  if (issuer === undefined) throw new DerError();
  return issuer.bytes;
}

function digestOf({ content }: DerElement): string | null {
  const [name] = readElements(content);
  const algorithm = readObjectIdentifier(name?.content ?? Buffer.alloc(0));
  const digest = DIGESTS[algorithm];
  if (digest === undefined) throw new DerError(`signed by the algorithm ${algorithm}`);
  return digest;
}

function serialOf(entry: DerElement): string {
  const [serial] = readElements(entry.content);
  return (serial?.content.toString('hex') ?? '').toUpperCase().replace(/^0+(?=.)/, '');
}

/** A critical extension that is not known changes what the list means. */
function refuseUnknown(extensions: DerElement | undefined): void {
  if (extensions === undefined) return;
  for (const each of readElements(readElement(extensions.content).content)) {
    const [name, critical] = readElements(each.content);
    if (critical?.tag !== BOOLEAN) continue;
    const identifier = readObjectIdentifier(name?.content ?? Buffer.alloc(0));
    throw new DerError(`a list with the critical extension ${identifier}`);
  }
}

function isTime({ tag }: DerElement): boolean {
  return tag === 0x17 || tag === 0x18;
}

function expect(element: DerElement, tag: number): DerElement {
  if (element.tag !== tag) throw new DerError();
  return element;
}
