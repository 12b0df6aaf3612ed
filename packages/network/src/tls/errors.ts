import { HoldfastError } from '@holdfast/foundation';

/** Why a server was refused. */
export type TlsRefusal =
  | 'expired'
  | 'notYetValid'
  | 'wrongHost'
  | 'noSubjectAltName'
  | 'selfSigned'
  | 'unknownCa'
  | 'incompleteChain'
  | 'revoked'
  | 'pinMismatch'
  | 'crlStale'
  | 'crlMissing'
  | 'oldProtocol'
  | 'plainText'
  | 'clientCertificate'
  | 'invalidCertificate'
  | 'handshake';

/** Why a certificate or a protocol was refused. */
export interface TlsRefusedDetails {
  readonly kind: TlsRefusal;
  readonly hostname?: string | undefined;
  /** Address and port. */
  readonly endpoint?: string | undefined;
  readonly validFromMs?: number | undefined;
  readonly validToMs?: number | undefined;
  /** The subject of the certificate at fault. */
  readonly subject?: string | undefined;
  readonly issuer?: string | undefined;
  /** The code of the client's error. */
  readonly tlsCode?: string | undefined;
  /** What the dialer may do next. */
  readonly policy?: 'refuse' | 'alternate' | undefined;
  readonly cause?: unknown;
}

const EXPLANATIONS: Readonly<Record<TlsRefusal, string>> = {
  expired: 'a certificate has expired; the server needs a new one',
  notYetValid: 'a certificate is not valid yet; check both clocks and when it was issued',
  wrongHost: 'the certificate is for other names',
  noSubjectAltName: 'the certificate has no subject alternative name; a common name is not enough',
  selfSigned: 'the certificate is signed with its own key; pass it as `tls.ca` to trust it',
  unknownCa:
    'the issuer is not trusted; pass its certificate as `tls.ca`, or let the server send the intermediate if one is missing',
  incompleteChain:
    'the server does not send the intermediate certificate; its operator must add it',
  revoked: 'a certificate has been revoked',
  pinMismatch: 'no public key of the chain is one of the pins',
  crlStale: 'the revocation list is out of date; fetch a new one',
  crlMissing: 'a revocation list of the issuer is missing',
  oldProtocol: 'client and server have no TLS version in common',
  plainText: 'the server does not speak TLS on this port',
  clientCertificate: 'the server asks for a client certificate that it accepts',
  invalidCertificate: 'a certificate of the chain is not acceptable',
  handshake: 'the handshake failed',
};

/**
 * A server could not be verified, or does not speak acceptable TLS. It is never retried there: nothing gets better
 * until an operator acts. Another endpoint or an older answer may serve meanwhile.
 */
export class TlsRefusedError extends HoldfastError {
  readonly code = 'NETWORK_TLS_REFUSED';
  readonly kind: TlsRefusal;
  readonly hostname?: string;
  /** Address and port. */
  readonly endpoint?: string;
  /** Of the certificate at fault, in milliseconds since the Unix epoch. */
  readonly validFromMs?: number;
  readonly validToMs?: number;
  readonly subject?: string;
  readonly issuer?: string;
  /** The code of the underlying error, such as `CERT_HAS_EXPIRED`. */
  readonly tlsCode?: string;
  /** `alternate`: the caller may use its next endpoint or an older answer. */
  readonly policy: 'refuse' | 'alternate';

  constructor(details: TlsRefusedDetails) {
    super(messageOf(details), {
      retryable: false,
      outcome: 'not-applied',
      ...('cause' in details && { cause: details.cause }),
    });
    const { kind, hostname, endpoint, validFromMs, validToMs, subject, issuer, tlsCode } = details;
    this.kind = kind;
    if (hostname !== undefined) this.hostname = hostname;
    if (endpoint !== undefined) this.endpoint = endpoint;
    if (validFromMs !== undefined) this.validFromMs = validFromMs;
    if (validToMs !== undefined) this.validToMs = validToMs;
    if (subject !== undefined) this.subject = subject;
    if (issuer !== undefined) this.issuer = issuer;
    if (tlsCode !== undefined) this.tlsCode = tlsCode;
    this.policy = details.policy ?? 'refuse';
  }
}

function messageOf(details: TlsRefusedDetails): string {
  const {
    kind,
    hostname = 'the server',
    endpoint,
    validFromMs,
    validToMs,
    subject,
    issuer,
  } = details;
  const facts = [
    subject !== undefined && `subject ${subject}`,
    issuer !== undefined && `issuer ${issuer}`,
    validFromMs !== undefined && `valid from ${new Date(validFromMs).toISOString()}`,
    validToMs !== undefined && `valid to ${new Date(validToMs).toISOString()}`,
  ].filter((fact) => fact !== false);
  const where = endpoint === undefined ? hostname : `${hostname} (${endpoint})`;
  const known = facts.length === 0 ? '' : ` [${facts.join(', ')}]`;
  return `${where} is refused: ${EXPLANATIONS[kind]}${known}`;
}
