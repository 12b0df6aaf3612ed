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

/** What can be wrong with how a server proves itself. */
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

/** What `tls.createServer`, `https.createServer` and `tls.Server.setSecureContext` take. */
export interface TlsServerOptions {
  readonly key: string;
  readonly cert: string;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string;
}

export interface TlsServerFaultOptions {
  /** The names the server is asked for by. */
  hostnames: readonly string[];
  /** Absent: nothing is wrong. */
  fault?: TlsFaultKind;
  clock?: Clock;
  /** Draws serial numbers. */
  random?: Random;
}

const DAY_MS = 86_400_000;
/** A top-level name that belongs to nobody (RFC 2606). */
const SOMEBODY_ELSE = 'somebody-else.invalid';

const shape = {
  hostnames: hostnamesRule,
  fault: optional(oneOf(tlsFaultKinds)),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/**
 * Settings of a server whose certificate `authority` has signed, or is wrong in the one way that is asked
 * for. What Node's client says of each to one that trusts `authority`: `CERT_HAS_EXPIRED`,
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
    wrongHost: () => authority.issue({ hostnames: [SOMEBODY_ELSE] }),
    selfSigned: () => createSelfSignedCertificate({ hostnames, clock, random }),
    unknownAuthority: () => createCertificateAuthority({ clock, random }).issue({ hostnames }),
    oldProtocol: () => ({
      ...authority.issue({ hostnames }),
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      // OpenSSL 3 speaks it only at its lowest level of security.
      ciphers: 'DEFAULT@SECLEVEL=0',
    }),
  };
  return make[fault]();
}
