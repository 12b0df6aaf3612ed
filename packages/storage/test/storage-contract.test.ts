import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import type { StorageBackend } from '../src/backend.ts';
import { diskBackend } from '../src/backends/disk/backend.ts';
import { createMemoryBackend } from '../src/backends/memory.ts';
import { honoursStorageContract } from '../src/contract.ts';
import { createStorage } from '../src/create-storage.ts';
import { openS3, openSupabase } from './backends/servers.ts';

async function openOn(
  make: (directory: string) => Promise<{ backends: StorageBackend[]; end: () => Promise<void> }>,
) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
  const { backends, end } = await make(directory);
  const storage = createStorage({
    backends,
    journal: { directory: join(directory, 'journal'), minFreeBytes: 0 },
    local: { directory: join(directory, 'local') },
    acknowledgeWithinMs: 60_000,
  });
  return {
    storage,
    async close() {
      await storage.close();
      await end();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

describe('on memory and disk', () => {
  honoursStorageContract(() =>
    openOn(async (directory) => ({
      backends: [createMemoryBackend(), diskBackend({ directory: join(directory, 'disk') })],
      end: async () => undefined,
    })),
  );
});

describe('on Supabase and S3', () => {
  honoursStorageContract(() =>
    openOn(async () => {
      const [supabase, s3] = await Promise.all([openSupabase(), openS3()]);
      return {
        backends: [supabase.backend, s3.backend],
        end: async () => {
          await Promise.all([supabase.close(), s3.close()]);
        },
      };
    }),
  );
});
