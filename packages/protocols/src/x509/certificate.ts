import { type KeyObject, createHash, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { addressBytes } from '../ip-address.ts';
import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
} from './der.ts';

/** The subject or the issuer of a certificate. */
export interface Party {
  readonly commonName: string;
  readonly publicKey: KeyObject;
}

/** The fields of one certificate. */
interface CertificateFields {
  readonly serial: Buffer;
  readonly subject: Party;
  readonly issuer: Party;
  readonly validFromMs: number;
  readonly validToMs: number;
  /** The host names a server certificate is valid for, or `'authority'` for a certificate that signs others. */
  readonly role: 'authority' | ServerRole;
}

interface ServerRole {
  /** None: the certificate has a common name only. */
  readonly hostnames: readonly string[];
  /** Where the issuer's certificate is published. */
  readonly issuerUrl?: string | undefined;
}

const oid = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  authorityInformation: '1.3.6.1.5.5.7.1.1',
  issuerCertificates: '1.3.6.1.5.5.7.48.2',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const VERSION_3 = Buffer.from([2]);
/** Choices of GeneralName, RFC 5280, section 4.2.1.6. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;
const URL_NAME = 6;

/**
 * Signs the fields as an X.509 certificate (RFC 5280) and returns it as PEM.
 * @param key the issuer's private key, on the curve P-256.
 */
export function writeCertificate(fields: CertificateFields, key: KeyObject): string {
  const { serial, subject, issuer, validFromMs, validToMs, role } = fields;
  const content = sequence(
    contextConstructed(0, unsignedInteger(VERSION_3)),
    unsignedInteger(serial),
    signatureAlgorithm,
    nameOf(issuer),
    sequence(time(validFromMs), time(validToMs)),
    nameOf(subject),
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    contextConstructed(3, sequence(...extensions(subject, issuer, role))),
  );
  return signedPem('CERTIFICATE', content, key);
}

export const signatureAlgorithm: Buffer = sequence(objectIdentifier(oid.ecdsaWithSha256));

/** @param key on the curve P-256. */
export function signedPem(label: string, content: Buffer, key: KeyObject): string {
  const signature = bitString(sign('sha256', content, key));
  return pem(label, sequence(content, signatureAlgorithm, signature));
}

function extensions(subject: Party, issuer: Party, role: CertificateFields['role']): Buffer[] {
  const identity = [
    extension(oid.subjectKeyIdentifier, octetString(keyIdentifier(subject))),
    extension(oid.authorityKeyIdentifier, sequence(contextPrimitive(0, keyIdentifier(issuer)))),
  ];
  if (role === 'authority') {
    // keyCertSign, cRLSign
    const usage = bitString(Buffer.from([0b0000_0110]), 1);
    return [
      critical(oid.basicConstraints, sequence(boolean(true))),
      critical(oid.keyUsage, usage),
      ...identity,
    ];
  }
  // digitalSignature
  const usage = bitString(Buffer.from([0b1000_0000]), 7);
  const purposes = [oid.serverAuth, oid.clientAuth].map(objectIdentifier);
  return [
    critical(oid.basicConstraints, sequence()),
    critical(oid.keyUsage, usage),
    extension(oid.extendedKeyUsage, sequence(...purposes)),
    ...(role.hostnames.length === 0
      ? []
      : [extension(oid.subjectAltName, sequence(...role.hostnames.map(generalName)))]),
    ...(role.issuerUrl === undefined ? [] : [issuerLocation(role.issuerUrl)]),
    ...identity,
  ];
}

/** RFC 5280, section 4.2.2.1. */
function issuerLocation(url: string): Buffer {
  const location = contextPrimitive(URL_NAME, Buffer.from(url, 'latin1'));
  return extension(
    oid.authorityInformation,
    sequence(sequence(objectIdentifier(oid.issuerCertificates), location)),
  );
}

export function extension(name: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(name), octetString(value));
}

/** An extension that a client must reject when it does not know it. */
function critical(name: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(name), boolean(true), octetString(value));
}

export function nameOf({ commonName }: Party): Buffer {
  return sequence(set(sequence(objectIdentifier(oid.commonName), utf8String(commonName))));
}

function generalName(hostname: string): Buffer {
  return isIP(hostname) === 0
    ? contextPrimitive(DNS_NAME, Buffer.from(hostname, 'latin1'))
    : contextPrimitive(IP_ADDRESS, addressBytes(hostname));
}

/** Identifies a public key: RFC 5280, section 4.2.1.2, method (1). */
export function keyIdentifier({ publicKey }: Party): Buffer {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha1').update(spki).digest();
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
