import type { ObjectHead, StorageBackend } from './backend.ts';
import { safeFileName } from './files/safe-file-name.ts';
import type { WriterLives } from './journal/lives.ts';
import type { Operation } from './journal/operation.ts';
import type { ConflictPolicy, StorageOptions } from './options.ts';
import type { Conflict, ConflictResolution } from './storage.ts';

/** A policy by name, or the caller's own function. */
export type ConflictPolicyOption = NonNullable<StorageOptions['conflicts']>;

/** What a backend has in the place of a write that waits; without a head there is none. */
export interface RemoteObject {
  readonly head: ObjectHead | undefined;
  /** There is none, perhaps because another life of a copy of this directory removed it. */
  readonly isRemovedElsewhere?: boolean;
}

/**
 * The conflict between a write and what a backend has; `undefined` when there is none: it has nothing, or an earlier
 * write of this directory.
 * @param given.ageMs the age of the write.
 * @param given.epochMs the wall clock, for a backend that does not state its own.
 */
export function conflictOf(
  operation: Operation,
  { head, isRemovedElsewhere = false }: RemoteObject,
  given: { backend: string; ageMs: number; epochMs: number; lives: WriterLives },
): Conflict | undefined {
  const { backend, ageMs, epochMs, lives } = given;
  if (head === undefined ? !isRemovedElsewhere : isOlderOfOurs(head, operation, lives)) {
    return undefined;
  }
  const { version, lastModifiedEpochMs, size = 0, servedAtEpochMs = epochMs } = head ?? {};
  return {
    backend,
    path: operation.key,
    operationId: operation.id,
    kind: operation.kind,
    acceptedAtEpochMs: operation.acceptedAtEpochMs,
    ageMs,
    theirs: {
      size,
      ...(isRemovedElsewhere && { removed: true as const }),
      ...(version !== undefined && { version }),
      ...(lastModifiedEpochMs !== undefined && {
        lastModifiedEpochMs,
        ageMs: servedAtEpochMs - lastModifiedEpochMs,
      }),
    },
  };
}

/** Whether the object is an earlier write of this directory, or the same. */
function isOlderOfOurs(
  { stamp }: ObjectHead,
  { generation }: Operation,
  lives: WriterLives,
): boolean {
  return stamp !== undefined && stamp.generation <= generation && lives.isOwn(stamp);
}

/** Resolves a conflict by the policy. Never rejects. */
export async function resolutionOf(
  policy: ConflictPolicyOption,
  conflict: Conflict,
): Promise<ConflictResolution> {
  if (typeof policy === 'string') return byPolicy(policy, conflict);
  try {
    const resolution: unknown = await policy(conflict);
    if (isResolution(resolution)) return resolution;
  } catch (error) {
    process.emitWarning(`conflicts: the callback threw: ${String(error)}`);
  }
  // A callback without a valid resolution must not cause an overwrite or a loss.
  return 'refuse';
}

/** The key under which the bytes of a write that lost a conflict are kept. */
export function conflictCopyKey(
  { key, id }: Pick<Operation, 'key' | 'id'>,
  backends: readonly Pick<StorageBackend, 'refuseKey'>[],
): string {
  const copyKey = `.conflicts/${key}.${id}`;
  const fits = backends.every((one) => one.refuseKey(copyKey) === undefined);
  return fits ? copyKey : `.conflicts/${safeFileName('', key)}.${id}`;
}

const fixed: Readonly<Record<Exclude<ConflictPolicy, 'latest-wins'>, ConflictResolution>> = {
  'keep-both': 'keep-both',
  'remote-wins': 'theirs',
  'local-wins': 'ours',
  refuse: 'refuse',
};

/** The headers that ages are computed from have whole seconds; of writes that close both are kept. */
const AGE_RESOLUTION_MS = 1_000;

function byPolicy(policy: ConflictPolicy, conflict: Conflict): ConflictResolution {
  if (policy !== 'latest-wins') return fixed[policy];
  const { ageMs, theirs } = conflict;
  if (theirs.removed === true) return 'keep-both';
  // Each age is measured by one clock, so that the skew between the two does not matter.
  const isOursLater = theirs.ageMs === undefined || theirs.ageMs - AGE_RESOLUTION_MS >= ageMs;
  return isOursLater ? 'ours' : 'keep-both';
}

function isResolution(value: unknown): value is ConflictResolution {
  return value === 'ours' || value === 'theirs' || value === 'keep-both' || value === 'refuse';
}
