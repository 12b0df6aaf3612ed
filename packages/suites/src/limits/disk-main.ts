/** Writes files on a disk of its own until it is full: `node disk-main.ts <options>`. */
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import { createDiskGuard } from '@holdfast/network/limits';
import { optionsOf } from './child.ts';

export interface DiskOptions {
  readonly directory: string;
  /** Of each file. */
  readonly fileBytes: number;
  /** Whether to go on below the watermark, until the file system itself has no room. */
  readonly toTheEnd: boolean;
}

export interface DiskReport {
  readonly written: number;
  /** Of the first refusal. */
  readonly code: unknown;
  readonly freeBytes: unknown;
  readonly freeInodes: unknown;
  /** Of the refusal to replace a file. */
  readonly streamCode: unknown;
  readonly streamCause: unknown;
  /** What the file that was to be replaced holds after the refusal. */
  readonly replaced: string;
  /** What a file holds after `fs.writeFile` over it on the full disk. */
  readonly overwritten: string;
  readonly broken: readonly string[];
  readonly leftovers: readonly string[];
  readonly resumed: boolean;
}

const { directory, fileBytes, toTheEnd } = optionsOf<DiskOptions>();
const folder = join(directory, 'data');
await mkdir(folder);
const guard = createDiskGuard({
  directory: folder,
  ...(toTheEnd ? { refuseBelow: 0, resumeAt: 0 } : {}),
});
await guard.writeFile(join(folder, 'current'), 'GOOD');
await writeFile(join(folder, 'plain'), 'GOOD');
const content = 'x'.repeat(fileBytes);
let written = 0;
let failure: unknown;
while (failure === undefined && written < 100_000) {
  try {
    await guard.writeFile(join(folder, `file-${written}`), content);
    written += 1;
  } catch (error) {
    failure = error;
  }
}
/** Its length is not known before its end, so that the file system itself has no room for it. */
async function* stream(): AsyncGenerator<string> {
  for (let at = 0; at < 256; at += 1) yield 'new '.repeat(16_384);
}
const streamed = guard.writeFile(
  join(folder, 'current'),
  toTheEnd ? stream() : 'new '.repeat(262_144),
);
const streamFailure: unknown = await streamed.catch((error: unknown) => error);
await writeFile(join(folder, 'plain'), 'new '.repeat(4_194_304)).catch(() => undefined);
const overwritten = (await readFile(join(folder, 'plain'), 'latin1')).slice(0, 8);
await rm(join(folder, 'plain'));
const names = await readdir(folder);
const files = names.filter((name) => name.startsWith('file-'));
const broken: string[] = [];
for (const name of files) {
  if ((await readFile(join(folder, name), 'latin1')).length !== fileBytes) broken.push(name);
}
const replaced = (await readFile(join(folder, 'current'), 'latin1')).slice(0, 8);
// Old files are removed: there is room again.
for (const name of files.slice(0, files.length / 2)) await rm(join(folder, name));
await guard.check();
const resumed = await guard.writeFile(join(folder, 'current'), 'better').then(
  () => true,
  () => false,
);
const report: DiskReport = {
  written,
  code: propertyOf(failure, 'code'),
  streamCode: propertyOf(streamFailure, 'code'),
  streamCause: propertyOf(propertyOf(streamFailure, 'cause'), 'code'),
  freeBytes: propertyOf(failure, 'freeBytes'),
  freeInodes: propertyOf(failure, 'freeInodes'),
  replaced,
  overwritten,
  broken,
  leftovers: names.filter((name) => name.endsWith('.tmp')),
  resumed,
};
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
