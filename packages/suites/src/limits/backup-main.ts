/** Writes backups of a catalog on a disk that others fill: `node backup-main.ts <options>`. */
import { createHash } from 'node:crypto';
import { readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bundle, createBackup } from '@holdfast/catalog';
import { propertyOf } from '@holdfast/foundation';
import { optionsOf } from './child.ts';

export interface BackupDiskOptions {
  readonly directory: string;
  /** The bundles of a backup that is accepted. */
  readonly rows: number;
  /** Each a write that is refused. */
  readonly refused: readonly {
    readonly rows: number;
    /** How much of the disk others leave free, in bytes; without it they leave the disk alone. */
    readonly freeBytes?: number;
  }[];
}

export interface BackupDiskReport {
  readonly refusals: readonly {
    readonly code: unknown;
    readonly reason: unknown;
    readonly cause: unknown;
    /** The generation that is served after it, and how many of its bundles are as they were written. */
    readonly generation: number;
    readonly bundles: number;
    readonly names: readonly string[];
  }[];
  /** The generation that is served once there is room again. */
  readonly generation: number;
  readonly bundles: number;
}

const { directory, rows: accepted, refused } = optionsOf<BackupDiskOptions>();
const folder = join(directory, 'backups');
const backup = createBackup({ directory: folder });

/** Half a kilobyte that cannot be compressed. */
function bundleOf(generation: number, row: number): Bundle {
  const name = `esim_${generation}_${row}`;
  const part = (at: number): string =>
    createHash('sha512').update(`${name} ${at}`).digest('base64');
  const description = [0, 1, 2, 3, 4, 5].map((at) => part(at)).join('');
  return {
    name,
    description,
    duration: 7,
    dataAmount: row,
    unlimited: false,
    price: 1,
    countries: [],
  };
}

async function write(generation: number, rows: number): Promise<void> {
  async function* chunks(): AsyncGenerator<Bundle[]> {
    for (let row = 0; row < rows; row += 1) yield [bundleOf(generation, row)];
  }
  const manifest = { generation, token: 1, rows, syncedAtEpochMs: 0, complete: true };
  await backup.write({ ...manifest, groups: [] }, chunks());
}

async function served(): Promise<{ generation: number; bundles: number }> {
  const reader = await backup.open();
  const { generation } = reader.manifest;
  let [row, bundles] = [0, 0];
  for await (const frame of reader.readAll()) {
    for (const { description } of frame) {
      bundles += Number(description === bundleOf(generation, row).description);
      row += 1;
    }
  }
  await reader.close();
  return { generation, bundles };
}

const ballast = join(directory, 'ballast');

/** Fills the disk but for so much. */
async function fillBut(rest: number): Promise<void> {
  await rm(ballast, { force: true });
  const { bavail, bsize } = await statfs(directory);
  await writeFile(ballast, Buffer.alloc(bavail * bsize - rest, 1));
}

await write(1, accepted);
const refusals: BackupDiskReport['refusals'][number][] = [];
for (const { rows, freeBytes } of refused) {
  if (freeBytes !== undefined) await fillBut(freeBytes);
  const failure: unknown = await write(2, rows).catch((error: unknown) => error);
  const names = (await readdir(folder)).filter((name) => name.startsWith('catalog-'));
  refusals.push({
    code: propertyOf(failure, 'code'),
    reason: propertyOf(failure, 'reason'),
    cause: propertyOf(propertyOf(failure, 'cause'), 'code'),
    ...(await served()),
    names,
  });
}
await rm(ballast, { force: true });
await write(2, accepted);
const report: BackupDiskReport = { refusals, ...(await served()) };
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
