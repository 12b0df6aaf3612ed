import type { ConflictPolicy, StorageOptions } from './options.ts';
import type { Conflict, ConflictResolution } from './storage.ts';

/** What becomes of a conflict by the policy, or by the caller's own judgement. */
export async function resolveConflict(
  policy: NonNullable<StorageOptions['conflicts']>,
  conflict: Conflict,
): Promise<ConflictResolution> {
  if (typeof policy === 'string') return byPolicy(policy, conflict);
  try {
    const resolution: unknown = await policy(conflict);
    if (isResolution(resolution)) return resolution;
  } catch (error) {
    process.emitWarning(`conflicts: the callback threw: ${String(error)}`);
  }
  // Nothing is overwritten or lost on the word of a callback that said nothing.
  return 'refuse';
}

/** Where the bytes of a write that lost are kept. */
export function conflictCopyKey(key: string, operationId: string): string {
  return `.conflicts/${key}.${operationId}`;
}

const fixed: Readonly<Record<Exclude<ConflictPolicy, 'latest-wins'>, ConflictResolution>> = {
  'keep-both': 'keep-both',
  'remote-wins': 'theirs',
  'local-wins': 'ours',
  refuse: 'refuse',
};

/** The headers that ages are taken from tell whole seconds; who cannot be told apart by them is kept. */
const AGE_RESOLUTION_MS = 1_000;

function byPolicy(policy: ConflictPolicy, conflict: Conflict): ConflictResolution {
  if (policy !== 'latest-wins') return fixed[policy];
  const { ageMs, theirs } = conflict;
  // Both ages are measured by one clock each, so that no skew between the two comes into it.
  const isOursLater = theirs.ageMs === undefined || theirs.ageMs - AGE_RESOLUTION_MS >= ageMs;
  return isOursLater ? 'ours' : 'keep-both';
}

function isResolution(value: unknown): value is ConflictResolution {
  return value === 'ours' || value === 'theirs' || value === 'keep-both' || value === 'refuse';
}
