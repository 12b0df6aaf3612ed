import { errorChain, propertyOf } from '@holdfast/foundation';
import type { DialFailure } from './errors.ts';

const KINDS: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  ENETUNREACH: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETDOWN: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ETIMEDOUT: 'unreachable',
  EAFNOSUPPORT: 'unreachable',
  EMFILE: 'resources',
  ENFILE: 'resources',
  ENOBUFS: 'resources',
  ENOMEM: 'resources',
  EADDRNOTAVAIL: 'resources',
  ENOTFOUND: 'name',
  EAI_AGAIN: 'name',
  ENODATA: 'name',
};

/** Why an attempt failed, by the code of the error or of one behind it. */
export function classifyFailure(error: unknown): DialFailure {
  for (const each of errorChain(error)) {
    // Some errors of the system have their code in `info`.
    const code = propertyOf(propertyOf(each, 'info'), 'code') ?? propertyOf(each, 'code');
    const kind = typeof code === 'string' && Object.hasOwn(KINDS, code) ? KINDS[code] : undefined;
    if (kind !== undefined) return kind;
    if (propertyOf(each, 'kind') === 'resources') return 'resources';
  }
  return 'other';
}
