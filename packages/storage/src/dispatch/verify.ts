import { type BackendFailure, type StorageBackend, caught } from '../backend.ts';
import type { Operation } from '../operation.ts';

/** What a last look found, after the time in which an earlier write could still be applied. */
export type Verified =
  | { readonly kind: 'stands' }
  /** An earlier write of ours has taken its place. */
  | { readonly kind: 'undone' }
  | { readonly kind: 'failed'; readonly failure: BackendFailure };

/** @param writer what the ids of our own operations begin with. */
export async function verify(
  operation: Operation,
  backend: StorageBackend,
  writer: string,
  signal: AbortSignal,
): Promise<Verified> {
  const result = await caught('read', () => backend.head(operation.key, { signal }));
  if (result.kind === 'notFound') {
    return { kind: operation.kind === 'remove' ? 'stands' : 'undone' };
  }
  if (result.kind !== 'ok') return { kind: 'failed', failure: result };
  const { mark } = result.value;
  // What somebody else wrote since is later than ours.
  const isOurs = mark?.operationId.startsWith(writer) === true;
  return { kind: isOurs && mark.generation < operation.generation ? 'undone' : 'stands' };
}
