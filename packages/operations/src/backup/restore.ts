import type { Clock } from '@holdfast/foundation';
import { checkFree, unpackDirectory } from './directories.ts';
import { BackupTargetError } from './errors.ts';
import type { Manifest, Part } from './manifest.ts';
import { checkEmpty, restoreDatabase } from './postgres/dump.ts';
import type { StartProgram } from './programs.ts';

/** Where a set is restored to; what is left out is not restored. */
export interface RestoreTarget {
  /** A new database, as a URL. */
  readonly databaseUrl?: string;
  /** A directory that is missing or empty, for the configuration. */
  readonly configurationDirectory?: string;
  /** A directory that is missing or empty, for the keys. */
  readonly keysDirectory?: string;
  /** A directory that is missing or empty, for the copy of the whole server (`wholeServer`). */
  readonly serverDirectory?: string;
}

/** What was restored. */
export interface RestoreReport {
  readonly setId: string;
  /** The tables whose rows were compared with those of the snapshot. */
  readonly tables: number;
  readonly rows: number;
  readonly tookMs: number;
}

/** What a restore is made of: a set that is proven. */
interface RestoreDeps {
  readonly manifest: Manifest;
  readonly openPart: (name: Part['name']) => AsyncIterable<Uint8Array>;
  readonly start: StartProgram;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/**
 * Restores the parts of a proven set: first what the database may need to be read.
 *
 * @throws BackupTargetError before anything is restored.
 */
export async function restoreParts(
  { manifest, openPart, start, clock, signal: given }: RestoreDeps,
  target: RestoreTarget,
): Promise<RestoreReport> {
  const beganMs = clock.now();
  const signal = given ?? new AbortController().signal;
  const directories = [
    ['keys.tar', target.keysDirectory],
    ['configuration.tar', target.configurationDirectory],
    ['base.tar', target.serverDirectory],
  ] as const;
  const has = (name: Part['name']): boolean => manifest.parts.some((part) => part.name === name);
  for (const [name, directory] of directories) {
    if (directory === undefined) continue;
    if (!has(name)) throw new BackupTargetError(directory, `has no part ${name} in this set`);
    await checkFree(directory);
  }
  if (target.databaseUrl !== undefined) await checkEmpty(target.databaseUrl, signal);
  for (const [name, directory] of directories) {
    if (directory !== undefined) await unpackDirectory(directory, openPart(name), signal);
  }
  const { setId, proofs } = manifest;
  if (target.databaseUrl === undefined) {
    return { setId, tables: 0, rows: 0, tookMs: clock.now() - beganMs };
  }
  await restoreDatabase(target.databaseUrl, start, signal, openPart('database.dump'), proofs);
  const rows = proofs.reduce((sum, proof) => sum + Number(proof.rows), 0);
  return { setId, tables: proofs.length, rows, tookMs: clock.now() - beganMs };
}
