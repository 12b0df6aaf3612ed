import type { EventKinds } from '@holdfast/foundation';
import type { TLSSocket } from 'node:tls';
import type { TlsRefusedError } from './errors.ts';

/** The certificate of an open connection or of a recent one ends soon. */
export interface CertificateExpiring {
  readonly hostname: string;
  readonly validToMs: number;
  /** The mark that was passed. */
  readonly daysLeft: number;
}

/** A certificate has ended. Its sessions are dropped, and its connections are to be used no more. */
export interface CertificateExpired {
  readonly hostname: string;
  readonly validToMs: number;
  /** The open connections; the dialer destroys those that are left after `tls.drainMs`. */
  readonly sockets: readonly TLSSocket[];
}

/** The events of a dialer, by name. */
export interface DialerEvents {
  /** 21, 7 and 1 days before a certificate's end by default; once for each certificate. */
  expiring: CertificateExpiring;
  expired: CertificateExpired;
  /** A server was refused. */
  refused: { readonly error: TlsRefusedError };
  /** A stale revocation list was used, as the option `crlStale` permits. */
  'crl-stale': { readonly issuer: string; readonly nextUpdateMs: number };
}

export const dialerEventKinds: EventKinds<DialerEvents> = {
  expiring: true,
  expired: true,
  refused: true,
  'crl-stale': true,
};
