import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { diskBackend } from '../src/backends/disk.ts';
import { createMemoryBackend } from '../src/backends/memory.ts';
import { honoursStorageBackendContract } from '../src/contract.ts';

describe('the memory backend', () => {
  honoursStorageBackendContract(async () => ({
    backend: createMemoryBackend(),
    close: async () => undefined,
  }));
});

describe('the disk backend', () => {
  honoursStorageBackendContract(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
    return {
      backend: diskBackend({ directory: join(directory, 'objects') }),
      close: () => rm(directory, { recursive: true, force: true }),
    };
  });
});
