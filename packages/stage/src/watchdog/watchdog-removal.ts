import { rm } from 'node:fs/promises';
import { abortable, type Clock, sleep, systemClock, withDeadline } from '@holdfast/foundation';
import { removeCgroup } from '../limits/cgroup.ts';
import { unmount } from '../limits/disk.ts';
import { ensureRunning, removeContainers } from '../system/container-engine.ts';
import { readProcess } from '../system/process-table.ts';
import { killTree, killWorkingIn } from '../system/process-tree.ts';
import { removeSegment } from '../system/shared-memory.ts';
import { type GuardedResource, remaining } from './protocol.ts';

/** How long the removal of each resource may take. */
const REMOVAL_TIMEOUT_MS = 30_000;
const POLL_MS = 10;
/** A container that was just requested may appear after the end of its process: list so many times. */
const CONTAINER_SWEEPS = 5;
const SWEEP_PAUSE_MS = 500;

/**
 * Processes first: a running one would write into its folder during the removal. Segments before folders: the
 * folder holds the file that names the segment.
 */
const REMOVAL_ORDER: readonly GuardedResource['kind'][] = [
  'process',
  'segment',
  'cgroup',
  'mount',
  'directory',
  'composed',
  'containers',
];

async function remove(clock: Clock, resource: GuardedResource, signal: AbortSignal): Promise<void> {
  switch (resource.kind) {
    case 'process': {
      if (readProcess(resource.pid)?.startTime !== resource.startTime) return undefined;
      return killTree(resource.pid, () => sleep(clock, POLL_MS, signal));
    }
    case 'segment':
      return removeSegment(resource.pidFile);
    case 'mount':
      return unmount(resource.path);
    case 'cgroup':
      return removeCgroup(resource.path);
    case 'directory':
      return rm(resource.path, { recursive: true, force: true, maxRetries: 3 });
    case 'composed':
      return ensureRunning(resource.engine, resource.container, signal);
    case 'containers':
      for (let sweep = 0; sweep < CONTAINER_SWEEPS; sweep += 1) {
        if (sweep > 0) await sleep(clock, SWEEP_PAUSE_MS, signal);
        await removeContainers(resource.engine, resource.labels, signal);
      }
      return undefined;
  }
}

/** Removes what is still guarded at the end of the watchdog's messages. */
export async function removeRemaining(messages: string): Promise<void> {
  const resources = remaining(messages);
  const late = (): Error => new Error(`not all was removed in ${REMOVAL_TIMEOUT_MS} ms`);
  const inTime = (work: (signal: AbortSignal) => Promise<void>): Promise<void> =>
    withDeadline(systemClock, REMOVAL_TIMEOUT_MS, undefined, late, (signal) =>
      abortable(work(signal), signal),
    );
  // Such as a process that was started right before the end, and is not guarded yet.
  const endIn = (folder: string): Promise<void> =>
    inTime((signal) => killWorkingIn(folder, () => sleep(systemClock, POLL_MS, signal)));
  const directories = resources.flatMap((resource) =>
    resource.kind === 'directory' ? [resource.path] : [],
  );
  for (const kind of REMOVAL_ORDER) {
    const removals = resources
      .filter((resource) => resource.kind === kind)
      .map((resource) => inTime((signal) => remove(systemClock, resource, signal)));
    await Promise.allSettled(removals);
    if (kind === 'process') await Promise.allSettled(directories.map(endIn));
  }
}
