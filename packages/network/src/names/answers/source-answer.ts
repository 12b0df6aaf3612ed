import { InvalidOptionError } from '@holdfast/foundation';
import { familyOf } from '../hostname.ts';
import { MAX_TTL_MS } from '../options.ts';
import type { NameAnswer } from '../resolver.ts';

const OWNER = 'createResolver: source.ask';

/** An answer of a source that a user may have written. @throws InvalidOptionError */
export function requireAnswer(answer: NameAnswer, family: 4 | 6): void {
  const { ttlMs } = answer;
  if (!(ttlMs >= 0 && ttlMs <= MAX_TTL_MS)) {
    throw new InvalidOptionError(OWNER, 'ttlMs', ttlMs, `from 0 to ${MAX_TTL_MS} (7 days)`);
  }
  if (answer.kind !== 'addresses') return;
  const { addresses } = answer;
  const isRight =
    addresses.length > 0 && addresses.every((address) => familyOf(address) === family);
  if (isRight) return;
  throw new InvalidOptionError(OWNER, 'addresses', addresses, `one or more IPv${family} addresses`);
}
