import type { Check, ProbeSpec } from './check.ts';
import { poolProbes, probePool } from './pool-probes.ts';
import { type ProbeWorld, probeQueue, queueFaults } from './queue-probes.ts';
import { type ScoredKind, importScored } from './scored-module.ts';
import { probeStorage, storageFaults } from './storage-probes.ts';

/** The probes of each kind, in the order in which they run. */
export const probesOf: Readonly<Record<ScoredKind, readonly ProbeSpec[]>> = {
  queue: queueFaults,
  database: poolProbes,
  storage: storageFaults,
};

/** Imports the module and runs one probe on it. @throws ScoredModuleError, and the errors of `openStage` */
export async function runOne(
  kind: ScoredKind,
  path: string,
  name: string,
  world: ProbeWorld,
): Promise<Check[]> {
  if (kind === 'queue') {
    return probeQueue(named(queueFaults, name), await importScored(kind, path), world);
  }
  if (kind === 'storage') {
    return probeStorage(named(storageFaults, name), await importScored(kind, path), world);
  }
  return probePool(named(poolProbes, name), await importScored(kind, path), world);
}

function named<T extends ProbeSpec>(probes: readonly T[], name: string): T {
  const found = probes.find((probe) => probe.name === name);
  if (found === undefined) throw new TypeError(`no probe is named ${name}`);
  return found;
}
