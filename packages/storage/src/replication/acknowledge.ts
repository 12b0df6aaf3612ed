import { ObjectRefusedError } from '../errors.ts';
import type { Operation } from '../journal/operation.ts';
import { replicaOf } from './key-replica.ts';
import type { Replicator } from './replicator.ts';
import type { Stored } from '../storage.ts';
import { takesNoWrites } from '../stats.ts';
import type { PrimaryWaits } from '../accept/primary-waits.ts';

interface AcknowledgeDeps {
  readonly replicator: Replicator;
  readonly local: { forget(key: string): Promise<unknown> } | undefined;
  /** `undefined` once the storage is closed. */
  readonly primaryWaits: PrimaryWaits | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Tells where an accepted write is, once the primary has it or `withinMs` are over.
 * @throws ObjectRefusedError, the signal's own reason
 */
export async function acknowledge(
  operation: Operation,
  withinMs: number,
  { replicator, local, primaryWaits, signal }: AcknowledgeDeps,
): Promise<Stored> {
  const [primary] = replicator.writers;
  const isSettled = (): boolean => {
    const writes = replicator.pendingKeys.get(operation.key);
    if (writes === undefined || primary === undefined) return true;
    return replicaOf(writes, primary).settledGeneration >= operation.generation;
  };
  const { key: path, id: operationId } = operation;
  const mayWait = withinMs > 0 && primary?.acceptsImmediately(operation) === true;
  if (!isSettled() && mayWait && primaryWaits !== undefined) {
    const result = await primaryWaits.wait(operation, withinMs, signal);
    if (result.kind === 'refused') {
      replicator.withdraw(operation);
      await local?.forget(path);
      throw new ObjectRefusedError(path, primary.backend.name, result.failure);
    }
  }
  if (isSettled()) return { path, stored: 'primary', fallback: false, operationId };
  const isLocal = replicator.writers.every((writer) => takesNoWrites(writer));
  return { path, stored: isLocal ? 'local' : 'queued', fallback: true, operationId };
}
