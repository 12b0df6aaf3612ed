/* oxlint-disable jest/no-standalone-expect -- onLinux is test, or test.skip where there is no /proc */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { freshDirectory } from '../directory.ts';

const run = promisify(execFile);
const MIB = 1_048_576;
/** A third of the Blob; what the upload of any body takes is a part of it. */
const PERMITTED_BYTES = 64 * MIB;
// The peak of memory is read in /proc.
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux.each([
  ['file', 200],
  ['memory', 200],
])(
  'a Blob in a %s of %i MiB is uploaded by a process with a heap of 48 MiB, in little memory',
  async (kind, count) => {
    const script = fileURLToPath(new URL('blob-process.ts', import.meta.url));
    const directory = await freshDirectory();
    const child = ['--max-old-space-size=48', script, directory, String(count), kind];
    const { stdout } = await run(process.execPath, child, { timeout: 100_000 });
    const { received, grown } = JSON.parse(stdout);
    expect(received).toBe(count * MIB);
    expect(grown).toBeLessThan(PERMITTED_BYTES);
  },
  120_000,
);
