import { isNativeError } from 'node:util/types';
import { BackendError } from '../errors.ts';
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
  const errorClass = isReply ? (CLASSES[replyCode(message)] ?? 'denied') : 'unreachable';
  return new BackendError(errorClass, `Redis: ${message}`, error);
}

/** In Redis before 7, the code of an error inside a script follows its line number. */
function replyCode(message: string): string {
  return /^(?:ERR .*@user_script: ?\d+: )?-?([A-Z]+)/u.exec(message)?.[1] ?? '';
}

/** Whether Redis has not cached the script, so that its text has to be sent. */
export function isUnknownScript(error: unknown): boolean {
  return hasReplyCode(error, 'NOSCRIPT');
}

/** Whether the access list of this user forbids the command. */
export function isForbidden(error: unknown): boolean {
  return hasReplyCode(error, 'NOPERM');
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
