import type { ConflictPolicy, StorageOptions } from './options.ts';
import type { Conflict, ConflictResolution } from './storage.ts';

/** A policy by name, or the caller's own function. */
export type ConflictPolicyOption = NonNullable<StorageOptions['conflicts']>;

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
export function conflictCopyKey(key: string, operationId: string): string {
  return `.conflicts/${key}.${operationId}`;
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
  // Each age is measured by one clock, so that the skew between the two does not matter.
  const isOursLater = theirs.ageMs === undefined || theirs.ageMs - AGE_RESOLUTION_MS >= ageMs;
  return isOursLater ? 'ours' : 'keep-both';
}

function isResolution(value: unknown): value is ConflictResolution {
  return value === 'ours' || value === 'theirs' || value === 'keep-both' || value === 'refuse';
}
