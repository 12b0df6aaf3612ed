import { type StorageFailure, type StorageBackend, toResult } from '../backend.ts';
import type { WriterLives } from '../journal/lives.ts';
import type { Operation } from '../journal/operation.ts';

/** What the last read shows, after the time in which an earlier write could still be applied. */
type Verification =
  /** `isOurs`: the object is ours, not one that another writer has put in its place, or removed. */
  | { readonly kind: 'intact'; readonly isOurs: boolean }
  /** An earlier write of ours has replaced it. */
  | { readonly kind: 'undone' }
  | { readonly kind: 'failed'; readonly failure: StorageFailure };

/**
 * @param options.lives tells our own operations from those of others.
 * @param options.isRemovalInDoubt whether a removal of ours may have been applied late.
 */
export async function verify(
  operation: Operation,
  backend: StorageBackend,
  options: { lives: WriterLives; signal: AbortSignal; isRemovalInDoubt: boolean },
): Promise<Verification> {
  const { lives, signal, isRemovalInDoubt } = options;
  const result = await toResult('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound') {
    // Without a removal of ours in doubt, another writer removed it after us.
    const isPut = operation.kind === 'put';
    return isPut && isRemovalInDoubt ? { kind: 'undone' } : { kind: 'intact', isOurs: !isPut };
  }
  // Who must not look has the server's word for the write, and no more.
  if (result.kind === 'denied') return { kind: 'intact', isOurs: true };
  if (result.kind !== 'ok') return { kind: 'failed', failure: result };
  const { stamp } = result.value;
  // A write of another writer is later than ours.
  const isOurs = lives.isOwn(stamp);
  const isEarlier = stamp !== undefined && stamp.generation < operation.generation;
  return isOurs && isEarlier ? { kind: 'undone' } : { kind: 'intact', isOurs };
}
