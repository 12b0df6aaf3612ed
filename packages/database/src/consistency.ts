import { InvalidOptionError } from '@holdfast/foundation';
import type { Consistency } from './database.ts';
import type { Token } from './connection/token.ts';
import { parseLsn, parseToken } from './lsn.ts';
import { MAX_TIMEOUT_MS } from './options.ts';

/** How fresh a read must be, as one tagged union. */
export type Freshness =
  /** From a primary, on this timeline or a later one if it is given. */
  | { readonly kind: 'strong'; readonly timeline?: number; readonly seen?: Token | undefined }
  | { readonly kind: 'any' }
  | {
      readonly kind: 'after';
      readonly token: Token;
      readonly position: bigint | undefined;
      /** The latest known position, if that of the token is unknown. */
      readonly seen: Token | undefined;
    }
  | { readonly kind: 'recent'; readonly maxLagMs: number };

/** @param token parsed once, not again for each host it is compared with. */
export function after(token: Token, seen: Token | undefined = token): Freshness {
  return { kind: 'after', token, position: parseLsn(token.lsn), seen };
}

const PERMITTED = "'strong', 'any', { after: token } or { maxLagMs: 0 or more }";

/** @throws InvalidOptionError */
export function parseConsistency(owner: string, given: Consistency): Freshness;
export function parseConsistency(owner: string, given: unknown): Freshness {
  if (given === 'strong' || given === 'any') return { kind: given };
  if (typeof given === 'object' && given !== null && Object.keys(given).length === 1) {
    if ('after' in given) {
      if (given.after === undefined) return { kind: 'any' };
      return after(parseToken(owner, 'consistency.after', given.after));
    }
    if ('maxLagMs' in given) {
      const { maxLagMs } = given;
      if (typeof maxLagMs === 'number' && maxLagMs >= 0 && maxLagMs <= MAX_TIMEOUT_MS) {
        return { kind: 'recent', maxLagMs };
      }
      const permitted = `a number from 0 to ${MAX_TIMEOUT_MS}`;
      throw new InvalidOptionError(owner, 'consistency.maxLagMs', maxLagMs, permitted);
    }
  }
  throw new InvalidOptionError(owner, 'consistency', given, PERMITTED);
}
