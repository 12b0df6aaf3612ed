import { environment } from '@holdfast/foundation';
import { rm } from 'node:fs/promises';

export default async function teardown(): Promise<void> {
  const workspace = environment['HOLDFAST_PACKED_WORKSPACE'];
  if (workspace !== undefined) await rm(workspace, { recursive: true, force: true });
}
