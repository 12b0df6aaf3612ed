import { type StorageFailure, type StorageBackend, toResult } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';

/** What the last read shows, after the time in which an earlier write could still be applied. */
type Verification =
  | { readonly kind: 'intact' }
  /** An earlier write of ours has replaced it. */
  | { readonly kind: 'undone' }
  | { readonly kind: 'failed'; readonly failure: StorageFailure };

/**
 * @param options.writerId the prefix of the ids of our own operations.
 * @param options.isRemovalInDoubt whether a removal of ours may have been applied late.
 */
export async function verify(
  operation: Operation,
  backend: StorageBackend,
  options: { writerId: string; signal: AbortSignal; isRemovalInDoubt: boolean },
): Promise<Verification> {
  const { writerId, signal, isRemovalInDoubt } = options;
  const result = await toResult('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound') {
    // Without a removal of ours in doubt, another writer removed it after us.
    return { kind: operation.kind === 'put' && isRemovalInDoubt ? 'undone' : 'intact' };
  }
  if (result.kind !== 'ok') return { kind: 'failed', failure: result };
  const { stamp } = result.value;
  // A write of another writer is later than ours.
  const isOurs = stamp?.operationId.startsWith(writerId) === true;
  return { kind: isOurs && stamp.generation < operation.generation ? 'undone' : 'intact' };
}
