import type { SecureVersion } from 'node:tls';
import {
  type Clock,
  type Random,
  callback,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  createSelfSignedCertificate,
  hostnamesRule,
} from './certificate-authority.ts';

/** A fault of a server's certificate or protocol. */
export type TlsFaultKind =
  | 'expired'
  | 'notYetValid'
  | 'wrongHost'
  | 'selfSigned'
  | 'unknownAuthority'
  | 'incompleteChain'
  | 'noSubjectAltName'
  | 'oldProtocol';

/** Every fault of a certificate or a protocol. */
export const tlsFaultKinds: readonly TlsFaultKind[] = [
  'expired',
  'notYetValid',
  'wrongHost',
  'selfSigned',
  'unknownAuthority',
  'incompleteChain',
  'noSubjectAltName',
  'oldProtocol',
];

/** Options of `tls.createServer`, `https.createServer` and `tls.Server.setSecureContext`. */
export interface TlsServerOptions {
  /** The private key, as PEM. */
  readonly key: string;
  /** The certificate and its chain, as PEM. */
  readonly cert: string;
  /** The oldest protocol. Default: Node's own. */
  readonly minVersion?: SecureVersion;
  /** The newest protocol. Default: Node's own. */
  readonly maxVersion?: SecureVersion;
  /** The ciphers, as OpenSSL lists them. Default: Node's own. */
  readonly ciphers?: string;
}

/** What a server is to present, and what is to be wrong with it. */
export interface TlsServerFaultOptions {
  /** The names of the server. */
  hostnames: readonly string[];
  /** Default: no fault. */
  fault?: TlsFaultKind;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** Draws serial numbers. */
  random?: Random;
}

const DAY_MS = 86_400_000;
/** A reserved top-level name (RFC 2606). */
const OTHER_HOST = 'other-host.invalid';

const shape = {
  hostnames: hostnamesRule,
  fault: optional(oneOf(tlsFaultKinds)),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/**
 * Returns options for a server with a certificate signed by `authority`, or with the requested fault. The errors of
 * Node's client that trusts `authority`: `CERT_HAS_EXPIRED`,
 * `CERT_NOT_YET_VALID`, `ERR_TLS_CERT_ALTNAME_INVALID`, `DEPTH_ZERO_SELF_SIGNED_CERT`,
 * `UNABLE_TO_VERIFY_LEAF_SIGNATURE` for an unknown authority and for an incomplete chain, and for an old protocol
 * `ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION`. A certificate without a subject alternative name is accepted for its common name.
 * @throws InvalidOptionError
 */
export function tlsServerOptions(
  authority: CertificateAuthority,
  options: TlsServerFaultOptions,
): TlsServerOptions {
  const { hostnames, fault, clock, random } = parseOptions('tlsServerOptions', shape, options);
  if (fault === undefined) return authority.issue({ hostnames });
  const nowMs = clock.epochMs();
  const from = (daysFromNow: number): TlsServerOptions => {
    const validFromMs = nowMs + daysFromNow * DAY_MS;
    return authority.issue({ hostnames, validFromMs, validToMs: validFromMs + DAY_MS });
  };
  const make: Readonly<Record<TlsFaultKind, () => TlsServerOptions>> = {
    expired: () => from(-2),
    notYetValid: () => from(1),
    wrongHost: () => authority.issue({ hostnames: [OTHER_HOST] }),
    selfSigned: () => createSelfSignedCertificate({ hostnames, clock, random }),
    unknownAuthority: () => createCertificateAuthority({ clock, random }).issue({ hostnames }),
    incompleteChain: () => withoutIntermediate(authority.createIntermediate().issue({ hostnames })),
    noSubjectAltName: () => authority.issue({ hostnames, commonNameOnly: true }),
    oldProtocol: () => ({
      ...authority.issue({ hostnames }),
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      // OpenSSL 3 accepts it only at its lowest security level.
      ciphers: 'DEFAULT@SECLEVEL=0',
    }),
  };
  return make[fault]();
}

function withoutIntermediate({ key, cert }: TlsServerOptions): TlsServerOptions {
  const end = '-----END CERTIFICATE-----\n';
  return { key, cert: cert.slice(0, cert.indexOf(end) + end.length) };
}
