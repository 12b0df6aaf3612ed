import { join } from 'node:path';
import type { FileSystem } from '@holdfast/journal';
import { parseSidecar } from './sidecar.ts';

/** Younger files may belong to a write of another process. */
const YOUNG_MS = 3_600_000;

/**
 * Deletes the files of writes that a crash has ended: partial files, and bodies that no sidecar names.
 * @param epochMs the wall clock's time.
 */
export async function removeOrphans(
  files: FileSystem,
  directory: string,
  epochMs: number,
): Promise<void> {
  const names = await files.list(directory);
  const sidecars = new Set(names.filter((name) => name.endsWith('.json')));
  const bodies = Map.groupBy(
    names.filter((name) => name.endsWith('.body')),
    (name) => name.slice(0, name.indexOf('.')),
  );
  const orphans = names.filter((name) => name.endsWith('.part'));
  for (const [hash, ofHash] of bodies) {
    const sidecar = `${hash}.json`;
    // A single body beside a sidecar is the one that the sidecar names.
    if (ofHash.length === 1 && sidecars.has(sidecar)) continue;
    const bytes = await files.readWhole(join(directory, sidecar));
    const named = bytes === undefined ? undefined : parseSidecar(bytes)?.body;
    orphans.push(...ofHash.filter((body) => body !== named));
  }
  for (const name of orphans) {
    const status = await files.status(join(directory, name));
    if (status !== undefined && epochMs - status.modifiedMs > YOUNG_MS) {
      await files.remove(join(directory, name));
    }
  }
}
