/** How a dialer verifies servers. There is no way to accept one that could not be verified. */
export interface TlsPolicy {
  /** The authorities that are trusted, as PEM. Default: those of Node. */
  ca?: string | Buffer | readonly (string | Buffer)[];
  /** The certificate and key of the client, as PEM. */
  cert?: string | Buffer;
  key?: string | Buffer;
  /** Default `TLSv1.2`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /**
   * For host names, also with a leading `*.`: base64 SHA-256 digests of public keys (SPKI), with or without `sha256/` in
   * front. One of them must be in the server's verified chain. At least two each, so that a lost key locks nobody out.
   */
  pins?: Readonly<Record<string, readonly string[]>>;
  /** Certificate revocation lists, as PEM or DER. Certificates of an issuer without a list are not looked up. */
  crls?: readonly (string | Buffer)[];
  /** What to do when a revocation list is older than it says. Default `refuse`. */
  crlStale?: 'refuse' | 'accept-and-warn';
  /**
   * What follows when a server is refused. `refuse` (default): the dial fails. `alternate`: the other addresses of the
   * name are tried, then `DialOptions.alternates`; each must be verified itself.
   */
  onRefused?: 'refuse' | 'alternate';
  /** Days before a certificate's end at which to emit `expiring`. Default 21, 7 and 1. */
  warnDays?: readonly number[];
  /** How long connections may go on after the end of their certificate. Default 5 000. */
  drainMs?: number;
  /** Sessions kept for resumption. 0: none. Default 1 000. */
  maxSessions?: number;
}
