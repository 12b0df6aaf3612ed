import { boolean, integer, oneOf, optional, parseOptions } from '@holdfast/foundation';
import type { Isolation, TransactionOptions } from '../database.ts';
import { signalRule } from '../calls/call-deadline.ts';
import { MAX_TIMEOUT_MS } from '../options.ts';

export interface ResolvedTransactionOptions {
  readonly isolation: Isolation | undefined;
  readonly readOnly: boolean;
  readonly maxRetries: number;
  readonly rerunOnLoss: boolean;
  readonly resolveCommit: boolean;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const shape = {
  isolation: optional(oneOf(['read committed', 'repeatable read', 'serializable'])),
  readOnly: boolean(false),
  maxRetries: integer({ min: 0, max: 1_000, default: 5 }),
  rerunOnLoss: boolean(false),
  resolveCommit: boolean(false),
  timeoutMs: optional(integer({ min: 1, max: MAX_TIMEOUT_MS })),
  signal: signalRule,
};

/** @throws InvalidOptionError */
export function parseTransactionOptions(
  options: TransactionOptions | undefined,
): ResolvedTransactionOptions {
  return parseOptions('transaction', shape, options);
}

/** The BEGIN of a transaction with these options. */
export function beginOf({ isolation, readOnly }: ResolvedTransactionOptions): string {
  const level = isolation === undefined ? '' : ` isolation level ${isolation}`;
  return `begin${level}${readOnly ? ' read only' : ''}`;
}
