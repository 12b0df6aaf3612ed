import { errorChain, isHoldfastError, propertyOf } from '@holdfast/foundation';
import { type TlsRefusal, type TlsRefusedDetails, TlsRefusedError } from './errors.ts';

/** Verification errors of OpenSSL, as Node's codes, and Node's own. */
const VERIFICATION: Readonly<Record<string, TlsRefusal>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'notYetValid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'wrongHost',
  ERR_TLS_CERT_ALTNAME_FORMAT: 'wrongHost',
  HOSTNAME_MISMATCH: 'wrongHost',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'selfSigned',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknownCa',
  UNABLE_TO_GET_ISSUER_CERT: 'unknownCa',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknownCa',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknownCa',
  CERT_UNTRUSTED: 'unknownCa',
  CERT_REVOKED: 'revoked',
  CRL_HAS_EXPIRED: 'crlStale',
  CRL_NOT_YET_VALID: 'crlStale',
  UNABLE_TO_GET_CRL: 'crlMissing',
  UNABLE_TO_GET_CRL_ISSUER: 'crlMissing',
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: 'crlMissing',
  CRL_SIGNATURE_FAILURE: 'crlMissing',
  ERROR_IN_CRL_LAST_UPDATE_FIELD: 'crlMissing',
  ERROR_IN_CRL_NEXT_UPDATE_FIELD: 'crlMissing',
  CERT_SIGNATURE_FAILURE: 'invalidCertificate',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: 'invalidCertificate',
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'invalidCertificate',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: 'invalidCertificate',
  ERROR_IN_CERT_NOT_AFTER_FIELD: 'invalidCertificate',
  CERT_CHAIN_TOO_LONG: 'invalidCertificate',
  INVALID_CA: 'invalidCertificate',
  PATH_LENGTH_EXCEEDED: 'invalidCertificate',
  INVALID_PURPOSE: 'invalidCertificate',
  CERT_REJECTED: 'invalidCertificate',
};

/** The reasons of OpenSSL's TLS, by number and by the end of the code that Node makes of their text. */
const HANDSHAKE: readonly (readonly [kind: TlsRefusal, reason: number, code: string])[] = [
  ['oldProtocol', 1070, 'TLSV1_ALERT_PROTOCOL_VERSION'],
  ['oldProtocol', 258, 'UNSUPPORTED_PROTOCOL'],
  ['oldProtocol', 191, 'NO_PROTOCOLS_AVAILABLE'],
  ['oldProtocol', 266, 'WRONG_SSL_VERSION'],
  ['oldProtocol', 1086, 'TLSV1_ALERT_INAPPROPRIATE_FALLBACK'],
  ['plainText', 267, 'WRONG_VERSION_NUMBER'],
  ['plainText', 156, 'HTTP_REQUEST'],
  ['plainText', 198, 'PACKET_LENGTH_TOO_LONG'],
  ['plainText', 244, 'UNEXPECTED_MESSAGE'],
  ['plainText', 245, 'UNEXPECTED_RECORD'],
  ['clientCertificate', 1116, 'TLSV13_ALERT_CERTIFICATE_REQUIRED'],
  ['clientCertificate', 1042, 'ALERT_BAD_CERTIFICATE'],
  ['clientCertificate', 1043, 'ALERT_UNSUPPORTED_CERTIFICATE'],
  ['clientCertificate', 1044, 'ALERT_CERTIFICATE_REVOKED'],
  ['clientCertificate', 1045, 'ALERT_CERTIFICATE_EXPIRED'],
  ['clientCertificate', 1046, 'ALERT_CERTIFICATE_UNKNOWN'],
  ['clientCertificate', 1048, 'TLSV1_ALERT_UNKNOWN_CA'],
  ['clientCertificate', 1049, 'TLSV1_ALERT_ACCESS_DENIED'],
  ['wrongHost', 1112, 'TLSV1_UNRECOGNIZED_NAME'],
  ['invalidCertificate', 134, 'CERTIFICATE_VERIFY_FAILED'],
  ['invalidCertificate', 397, 'CA_KEY_TOO_SMALL'],
  ['invalidCertificate', 398, 'CA_MD_TOO_WEAK'],
  ['invalidCertificate', 399, 'EE_KEY_TOO_SMALL'],
  ['handshake', 1040, 'ALERT_HANDSHAKE_FAILURE'],
  ['handshake', 1047, 'ALERT_ILLEGAL_PARAMETER'],
  ['handshake', 1071, 'TLSV1_ALERT_INSUFFICIENT_SECURITY'],
  ['handshake', 1120, 'TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
  ['handshake', 394, 'DH_KEY_TOO_SMALL'],
];

/** OpenSSL's number of an error, in the message of every client: library in the upper bits, reason in the lower ones. */
const OPENSSL_NUMBER = /\berror:([0-9A-F]{8}):/;
const TLS_LIBRARY = 20;
const LIBRARY_SHIFT = 23;

/**
 * Returns the typed error of a server that could not be verified, or that speaks no acceptable TLS, whichever client
 * raised it: `node:tls`, `node:https`, undici, fetch, axios, got and others that keep the cause. `undefined` for any
 * other failure, such as a reset.
 */
export function classifyTlsFailure(
  error: unknown,
  known: Pick<TlsRefusedDetails, 'hostname' | 'endpoint' | 'policy'> = {},
): TlsRefusedError | undefined {
  for (const each of errorChain(error)) {
    if (isTlsRefused(each)) return each;
    const code = propertyOf(each, 'code');
    const tlsCode = typeof code === 'string' ? code : '';
    const kind =
      verificationKind(tlsCode, each) ?? handshakeKind(tlsCode, propertyOf(each, 'message'));
    if (kind !== undefined) {
      const certificate = propertyOf(each, 'cert');
      return new TlsRefusedError({
        ...known,
        kind,
        tlsCode,
        hostname: known.hostname ?? textOf(propertyOf(each, 'host')),
        validFromMs: dateOf(propertyOf(certificate, 'valid_from')),
        validToMs: dateOf(propertyOf(certificate, 'valid_to')),
        cause: error,
      });
    }
  }
  return undefined;
}

function isTlsRefused(error: object): error is TlsRefusedError {
  return isHoldfastError(error) && error.code === 'NETWORK_TLS_REFUSED';
}

/** The kind of a code of OpenSSL's verification. */
function verificationKind(code: string, error: object): TlsRefusal | undefined {
  const kind = Object.hasOwn(VERIFICATION, code) ? VERIFICATION[code] : undefined;
  const certificate = propertyOf(error, 'cert');
  const hasNoNames =
    certificate !== undefined && propertyOf(certificate, 'subjectaltname') === undefined;
  return kind === 'wrongHost' && hasNoNames ? 'noSubjectAltName' : kind;
}

function handshakeKind(code: string, message: unknown): TlsRefusal | undefined {
  const [, hex] = (typeof message === 'string' && OPENSSL_NUMBER.exec(message)) || [];
  const number = hex === undefined ? 0 : Number.parseInt(hex, 16);
  const isTls = number >>> LIBRARY_SHIFT === TLS_LIBRARY;
  const reason = number % 2 ** LIBRARY_SHIFT;
  const found = HANDSHAKE.find(
    ([, known, ending]) =>
      (isTls && known === reason) || (code.startsWith('ERR_SSL_') && code.endsWith(ending)),
  );
  // Others, such as a bad MAC, come of damaged bytes and may pass.
  return found?.[0];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function dateOf(value: unknown): number | undefined {
  const date = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(date) ? undefined : date;
}
