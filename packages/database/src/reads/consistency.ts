import { InvalidOptionError } from '@holdfast/foundation';
import type { Consistency, Token } from '../database.ts';
import { parseLsn, readToken } from '../lsn.ts';
import { MAX_TIMEOUT_MS } from '../options.ts';

/** How fresh a read must be, as one tagged union. */
export type Freshness =
  | { readonly is: 'strong' }
  | { readonly is: 'any' }
  | { readonly is: 'after'; readonly token: Token; readonly position: bigint | undefined }
  | { readonly is: 'recent'; readonly maxLagMs: number };

/** @param token read once, and not again with each host that it is compared with. */
export function after(token: Token): Freshness {
  return { is: 'after', token, position: parseLsn(token.lsn) };
}

const PERMITTED = "'strong', 'any', { after: token } or { maxLagMs: 0 or more }";

/** @throws InvalidOptionError */
export function readConsistency(owner: string, given: Consistency): Freshness;
export function readConsistency(owner: string, given: unknown): Freshness {
  if (given === 'strong' || given === 'any') return { is: given };
  if (typeof given === 'object' && given !== null && Object.keys(given).length === 1) {
    if ('after' in given) {
      if (given.after === undefined) return { is: 'any' };
      return after(readToken(owner, 'consistency.after', given.after));
    }
    if ('maxLagMs' in given) {
      const { maxLagMs } = given;
      if (typeof maxLagMs === 'number' && maxLagMs >= 0 && maxLagMs <= MAX_TIMEOUT_MS) {
        return { is: 'recent', maxLagMs };
      }
      const permitted = `a number from 0 to ${MAX_TIMEOUT_MS}`;
      throw new InvalidOptionError(owner, 'consistency.maxLagMs', maxLagMs, permitted);
    }
  }
  throw new InvalidOptionError(owner, 'consistency', given, PERMITTED);
}
