import { rm } from 'node:fs/promises';
import { type Clock, sleep, systemClock, withDeadline } from '@holdfast/foundation';
import { ensureRunning } from '../runtime/compose/compose.ts';
import { removeContainers } from '../system/container-engine.ts';
import { unmount } from '../limits/disk.ts';
import { removeCgroup } from '../limits/cgroup.ts';
import { removeSegment } from '../system/shared-memory.ts';
import { listWorkingIn, readProcess } from '../system/process-table.ts';
import { isAlive, killTree } from '../system/process-tree.ts';
import { type GuardedResource, remaining } from './protocol.ts';

/** How long the removal as a whole may take. */
const REMOVAL_TIMEOUT_MS = 30_000;
const POLL_MS = 10;
/** A container the runner had just asked for may appear after it is gone: list again so many times. */
const CONTAINER_SWEEPS = 5;
const SWEEP_PAUSE_MS = 500;

async function remove(clock: Clock, ward: GuardedResource, signal: AbortSignal): Promise<void> {
  switch (ward.type) {
    case 'process': {
      if (readProcess(ward.pid)?.startTime !== ward.birth) return;
      await killTrees(clock, [ward.pid], signal);
      return;
    }
    case 'segment':
      await removeSegment(ward.pidFile);
      return;
    case 'mount':
      await unmount(ward.path);
      return;
    case 'cgroup':
      await removeCgroup(ward.path);
      return;
    case 'directory':
      await rm(ward.path, { recursive: true, force: true, maxRetries: 3 });
      return;
    case 'composed':
      await ensureRunning(ward.engine, ward.container, signal);
      return;
    case 'containers':
      for (let sweep = 0; sweep < CONTAINER_SWEEPS; sweep += 1) {
        if (sweep > 0) await sleep(clock, SWEEP_PAUSE_MS, signal);
        await removeContainers(ward.engine, ward.labels, signal);
      }
      return;
  }
}

async function killTrees(
  clock: Clock,
  pids: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const tree = pids.flatMap(killTree);
  while (tree.some(isAlive)) await sleep(clock, POLL_MS, signal);
}

/** Removes what is still guarded at the end of a watchdog's orders. */
export async function removeRemaining(orders: string): Promise<void> {
  const wards = remaining(orders);
  // One that was started in the very moment of the runner's end could not be told of any more; but it works
  // in a folder that was.
  const unannounced = wards.flatMap((ward) =>
    ward.type === 'directory' ? listWorkingIn(ward.path) : [],
  );
  // Processes first: one that still runs would write into its folder while it is removed. The folder tells
  // of the segment.
  const order: readonly GuardedResource['type'][] = [
    'process',
    'segment',
    'cgroup',
    'mount',
    'directory',
    'composed',
    'containers',
  ];
  const late = (): Error => new Error(`not all could be removed in ${REMOVAL_TIMEOUT_MS} ms`);
  await withDeadline(systemClock, REMOVAL_TIMEOUT_MS, undefined, late, (signal) =>
    killTrees(systemClock, unannounced, signal),
  ).catch(() => undefined);
  for (const type of order) {
    const removals = wards
      .filter((ward) => ward.type === type)
      .map((ward) =>
        withDeadline(systemClock, REMOVAL_TIMEOUT_MS, undefined, late, (signal) =>
          remove(systemClock, ward, signal),
        ),
      );
    await Promise.allSettled(removals);
  }
}
