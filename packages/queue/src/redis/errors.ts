import { isNativeError } from 'node:util/types';
import { hideCredentials } from '@holdfast/foundation';
import { BackendError } from '../errors.ts';
import { stripSecrets } from './secrets.ts';
import type { ErrorClass } from '../backend.ts';

/**
 * The error class of each reply code of Redis. The reply code is the first word of the reply, as the protocol
 * specifies.
 */
const CLASSES: Readonly<Record<string, ErrorClass>> = {
  // The server will accept the command later.
  LOADING: 'busy',
  OOM: 'busy',
  MISCONF: 'busy',
  NOREPLICAS: 'busy',
  CLUSTERDOWN: 'busy',
  TRYAGAIN: 'busy',
  BUSY: 'busy',
  MASTERDOWN: 'busy',
  // The slot is being migrated, and the topic's keys are on the new node already.
  ASK: 'busy',
  // The connection leads to the wrong server.
  READONLY: 'unreachable',
  UNBLOCKED: 'unreachable',
  MOVED: 'unreachable',
  // An operator has to act.
  NOAUTH: 'denied',
  WRONGPASS: 'denied',
  NOPERM: 'denied',
  NOPROTO: 'denied',
  WRONGTYPE: 'denied',
  // The publish script's reply to a process whose journal has a newer owner.
  FENCED: 'fenced',
};

/**
 * Classifies an error of a Redis client. An unknown reply is `denied`: the jobs are kept and an operator has to act.
 * An error that is not a reply is a failure of the connection, hence `unreachable`.
 */
export function classifyRedisError(error: unknown): BackendError {
  if (error instanceof BackendError) return error;
  const message = isNativeError(error) ? error.message : String(error);
  const isReply = isNativeError(error) && error.name === 'ReplyError';
  const certificate = isReply ? undefined : certificateProblem(error);
  if (certificate !== undefined)
    return new BackendError('denied', certificate, stripSecrets(error));
  const errorClass = isReply ? (CLASSES[replyCode(message)] ?? 'denied') : 'unreachable';
  return new BackendError(errorClass, `Redis: ${hideCredentials(message)}`, stripSecrets(error));
}

/** The codes of OpenSSL and Node for a certificate or a handshake that is not accepted: waiting does not help. */
const CERTIFICATE_CODE =
  /^(?:CERT_|CRL_|ERR_TLS_CERT|ERR_SSL_|ERR_OSSL_|SELF_SIGNED|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY|DECRYPT|DECODE)|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED)/u;

function certificateProblem(error: unknown): string | undefined {
  if (!isNativeError(error) || !('code' in error)) return undefined;
  const { code, message } = error;
  if (typeof code !== 'string' || !CERTIFICATE_CODE.test(code)) return undefined;
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_OSSL_')) {
    return `Redis: the TLS handshake failed (${code}: ${message}); check that the port speaks TLS and which versions it allows`;
  }
  return (
    `Redis: its certificate is not accepted (${code}: ${message}); give the authority that signed it by ` +
    'NODE_EXTRA_CA_CERTS, or create the client yourself with `connect`'
  );
}

/** In Redis before 7, the code of an error inside a script follows its line number. */
function replyCode(message: string): string {
  return /^(?:ERR .*@user_script: ?\d+: )?-?([A-Z]+)/u.exec(message)?.[1] ?? '';
}

/** Whether Redis has not cached the script, so that its text has to be sent. */
export function isUnknownScript(error: unknown): boolean {
  return hasReplyCode(error, 'NOSCRIPT');
}

/** Whether this user may not run the command, by the access list or because it was renamed. */
export function isForbidden(error: unknown): boolean {
  if (hasReplyCode(error, 'NOPERM')) return true;
  return (
    hasReplyCode(error, 'ERR') && isNativeError(error) && /unknown command/iu.test(error.message)
  );
}

/** Whether the consumer group does not exist, as after a restart without persistence. */
export function isMissingGroup(error: unknown): boolean {
  return hasReplyCode(error, 'NOGROUP');
}

/** Whether the consumer group to create exists already. */
export function isExistingGroup(error: unknown): boolean {
  return hasReplyCode(error, 'BUSYGROUP');
}

function hasReplyCode(error: unknown, code: string): boolean {
  return isNativeError(error) && error.name === 'ReplyError' && replyCode(error.message) === code;
}
