import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountDisk, unmount } from '../../src/limits/disk.ts';

const MEGABYTE = 1_048_576;

/** Whether this user may mount, as the stage would have to. */
export async function mayMount(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-mount-'));
  const mounted = await mountDisk('here', folder, MEGABYTE).then(
    () => true,
    () => false,
  );
  if (mounted) await unmount(folder);
  await rm(folder, { recursive: true });
  return mounted;
}
