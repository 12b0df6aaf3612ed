import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@holdfast/foundation';
import { isRunning } from '../process/process-group.ts';

/** Who works in a directory: written before the first command, read by whoever finds a lock. */
export const OWNER_FILE = 'holdfast-owner';

/** When a lock of git counts as left behind. */
interface StaleLockOptions {
  /** A younger one is never removed, in milliseconds. */
  readonly minAgeMs: number;
  readonly clock: Clock;
}

/**
 * Removes locks that a dead process left: old enough, and the process that worked here does not run any more.
 * @returns their paths.
 */
export async function removeStaleLocks(
  gitDirectory: string,
  { minAgeMs, clock }: StaleLockOptions,
): Promise<readonly string[]> {
  const owner = Number(await readFile(join(gitDirectory, OWNER_FILE), 'utf8').catch(() => ''));
  if (owner > 0 && owner !== process.pid && isRunning(owner)) return [];
  const entries = await readdir(gitDirectory, { recursive: true }).catch(() => []);
  const removed: string[] = [];
  for (const entry of entries) {
    if (!entry.endsWith('.lock')) continue;
    const path = join(gitDirectory, entry);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || clock.epochMs() - found.mtimeMs < minAgeMs) continue;
    await rm(path, { force: true });
    removed.push(path);
  }
  return removed;
}
