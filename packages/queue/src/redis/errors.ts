import { isNativeError } from 'node:util/types';
import { BackendError } from '../errors.ts';
import type { ErrorClass } from '../backend.ts';

/**
 * What can be done about each reply code of Redis and each code of a socket. A reply code is the first
 * word of the reply, which is the protocol's own place for it.
 */
const CLASSES: Readonly<Record<string, ErrorClass>> = {
  // The server says: later.
  LOADING: 'busy',
  OOM: 'busy',
  MISCONF: 'busy',
  NOREPLICAS: 'busy',
  CLUSTERDOWN: 'busy',
  TRYAGAIN: 'busy',
  BUSY: 'busy',
  MASTERDOWN: 'busy',
  // The slot is being moved to another node, and the topic's keys are there already.
  ASK: 'busy',
  // The wrong server, or none.
  READONLY: 'unreachable',
  UNBLOCKED: 'unreachable',
  MOVED: 'unreachable',
  // Somebody has to act.
  NOAUTH: 'denied',
  WRONGPASS: 'denied',
  NOPERM: 'denied',
  NOPROTO: 'denied',
  WRONGTYPE: 'denied',
  // Our own script's reply to a process whose journal has a newer owner.
  FENCED: 'fenced',
};

/**
 * Sorts a failure seen by a Redis client. An unknown reply is `denied` (kept, with an alarm); anything
 * that is not a reply is the link's failure, so `unreachable`.
 */
export function classifyRedisError(error: unknown): BackendError {
  if (error instanceof BackendError) return error;
  const message = isNativeError(error) ? error.message : String(error);
  const isReply = isNativeError(error) && error.name === 'ReplyError';
  const errorClass = isReply ? (CLASSES[replyCode(message)] ?? 'denied') : 'unreachable';
  return new BackendError(errorClass, `Redis: ${message}`, error);
}

/** Redis before 7 reports a failure inside a script with the code behind the place. */
function replyCode(message: string): string {
  return /^(?:ERR .*@user_script: ?\d+: )?-?([A-Z]+)/u.exec(message)?.[1] ?? '';
}

/** Whether Redis does not know the script, so that its text has to be sent. */
export function isUnknownScript(error: unknown): boolean {
  return hasReplyCode(error, 'NOSCRIPT');
}

/** Whether the access list of this user leaves the command out. */
export function isForbidden(error: unknown): boolean {
  return hasReplyCode(error, 'NOPERM');
}

/** Whether the consumer group is gone, as after a restart without persistence. */
export function isMissingGroup(error: unknown): boolean {
  return hasReplyCode(error, 'NOGROUP');
}

/** Whether the consumer group to be made is there already. */
export function isExistingGroup(error: unknown): boolean {
  return hasReplyCode(error, 'BUSYGROUP');
}

function hasReplyCode(error: unknown, code: string): boolean {
  return isNativeError(error) && error.name === 'ReplyError' && replyCode(error.message) === code;
}
