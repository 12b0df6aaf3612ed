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
  | 'oldProtocol';

export const tlsFaultKinds: readonly TlsFaultKind[] = [
  'expired',
  'notYetValid',
  'wrongHost',
  'selfSigned',
  'unknownAuthority',
  'oldProtocol',
];

/** Options of `tls.createServer`, `https.createServer` and `tls.Server.setSecureContext`. */
export interface TlsServerOptions {
  readonly key: string;
  readonly cert: string;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string;
}

export interface TlsServerFaultOptions {
  /** The names of the server. */
  hostnames: readonly string[];
  /** Default: no fault. */
  fault?: TlsFaultKind;
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
 * `UNABLE_TO_VERIFY_LEAF_SIGNATURE`, and for an old protocol `ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION`.
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
