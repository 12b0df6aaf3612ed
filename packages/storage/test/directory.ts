import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';

const made: string[] = [];

afterEach(async () => {
  await Promise.all(
    made.splice(0).map((directory) => rm(directory, { recursive: true, force: true })),
  );
});

/** A new temporary directory, removed after the test. */
export async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
  made.push(directory);
  return directory;
}
