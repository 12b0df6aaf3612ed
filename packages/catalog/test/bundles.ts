import { seededRandom } from '@holdfast/foundation';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import {
  type Backup,
  type BackupOptions,
  type Bundle,
  type GenerationManifest,
  createBackup,
} from '../src/index.ts';

export const DIRECTORY = '/backups';

/** So many bundles with content that differs from row to row, the same for the same seed. */
export function bundlesOf(count: number, seed = 1): Bundle[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, row) => ({
    name: `esim_${seed}_${row}_V2`,
    description: `Däten, ${Math.floor(random() * 100)} GB, ${'wörd '.repeat(Math.floor(random() * 4))}`,
    duration: 1 + Math.floor(random() * 30),
    dataAmount: Math.floor(random() * 50_000),
    unlimited: random() < 0.1,
    price: Math.round(random() * 10_000) / 100,
    countries: [{ name: 'Andorra', region: 'Europe', iso: 'AD' }],
    unheardOf: { nested: [random(), null, 'line\nbreak'] },
  }));
}

export function manifestOf(rows: number, generation = 1, token = 1): GenerationManifest {
  return { generation, token, rows, syncedAtEpochMs: 1_000, complete: true, groups: [] };
}

/** The bundles in parts, as a sync has them. */
export async function* inParts(bundles: readonly Bundle[], rows = 100): AsyncGenerator<Bundle[]> {
  for (let at = 0; at < bundles.length; at += rows) yield bundles.slice(at, at + rows);
}

export interface Fixture {
  readonly files: MemoryFileSystem;
  readonly backup: Backup;
  readonly write: (rows: number, generation?: number, token?: number) => Promise<string>;
}

/** Backups in memory. */
export function openFixture(
  options: Partial<BackupOptions> = {},
  files: MemoryFileSystem = createMemoryFileSystem(),
): Fixture {
  const random = seededRandom(1);
  const backup = createBackup({
    directory: DIRECTORY,
    files,
    rowsPerFrame: 64,
    random,
    ...options,
  });
  return {
    files,
    backup,
    async write(rows, generation = 1, token = 1) {
      const bundles = bundlesOf(rows, generation);
      const { file } = await backup.write(manifestOf(rows, generation, token), inParts(bundles));
      return file;
    },
  };
}

/** All that the newest whole backup has. */
export async function readNewest(
  backup: Backup,
): Promise<{ readonly generation: number; readonly bundles: Bundle[] }> {
  const reader = await backup.open();
  const bundles: Bundle[] = [];
  for await (const frame of reader.readAll()) bundles.push(...frame);
  await reader.close();
  return { generation: reader.manifest.generation, bundles };
}

/** The names of the backups and of what writers left, without those of the owners. */
export function backupNames(files: MemoryFileSystem): string[] {
  return files.names().filter((name) => !name.startsWith('owner.'));
}

/** The files of a directory with that content, all on the disk. */
export async function putFile(
  files: MemoryFileSystem,
  name: string,
  content: Uint8Array,
): Promise<void> {
  const file = await files.open(`${DIRECTORY}/${name}`, 'create');
  if (content.length > 0) await file.write(content, 0);
  await file.sync();
  await files.syncDirectory(DIRECTORY);
}
