import { type BackendFailure, type StorageBackend, toResult } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';

/** What a last look found, after the time in which an earlier write could still be applied. */
export type Verification =
  | { readonly kind: 'stands' }
  /** An earlier write of ours has taken its place. */
  | { readonly kind: 'undone' }
  | { readonly kind: 'failed'; readonly failure: BackendFailure };

/**
 * @param options.writer what the ids of our own operations begin with.
 * @param options.isRemovalInDoubt whether a removal of ours may have been applied late.
 */
export async function verify(
  operation: Operation,
  backend: StorageBackend,
  options: { writer: string; signal: AbortSignal; isRemovalInDoubt: boolean },
): Promise<Verification> {
  const { writer, signal, isRemovalInDoubt } = options;
  const result = await toResult('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound') {
    // Without a removal of ours it was somebody else who removed it, after us.
    return { kind: operation.kind === 'put' && isRemovalInDoubt ? 'undone' : 'stands' };
  }
  if (result.kind !== 'ok') return { kind: 'failed', failure: result };
  const { stamp } = result.value;
  // What somebody else wrote since is later than ours.
  const isOurs = stamp?.operationId.startsWith(writer) === true;
  return { kind: isOurs && stamp.generation < operation.generation ? 'undone' : 'stands' };
}
