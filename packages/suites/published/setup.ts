import { environment } from '@holdfast/foundation';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TARBALLS_VARIABLE, copyWorkspace, execute, publishedNames } from './pack.ts';

/** Packs all packages once for all test files. */
export default async function setup(): Promise<void> {
  const workspace = await copyWorkspace();
  environment['HOLDFAST_PACKED_WORKSPACE'] = workspace;
  const tarballs = join(workspace, 'tarballs');
  environment[TARBALLS_VARIABLE] = tarballs;
  await mkdir(tarballs);
  try {
    for (const name of await publishedNames()) {
      const cwd = join(workspace, 'packages', name);
      await execute('npm', ['pack', '--pack-destination', tarballs], { cwd });
    }
  } catch (error) {
    await rm(workspace, { recursive: true, force: true });
    throw error;
  }
}
