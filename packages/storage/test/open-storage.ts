import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import { type StorageFailure, fail } from '../src/backend.ts';
import { type MemoryBackend, createMemoryBackend } from '../src/backends/memory.ts';
import { createStorage } from '../src/create-storage.ts';
import type { StorageOptions } from '../src/options.ts';
import type { Storage } from '../src/storage.ts';

export interface TestStorage {
  readonly storage: Storage;
  readonly clock: FakeClock;
  readonly files: MemoryFileSystem;
  readonly primary: MemoryBackend;
  readonly mirror: MemoryBackend;
  /** The same storage after a kill -9, on the same servers. */
  restart(): Promise<TestStorage>;
}

export const AWAY: StorageFailure = fail('transient', 'ECONNREFUSED');
export const LOST: StorageFailure = fail('unknown', 'ECONNRESET');
export const DENIED: StorageFailure = fail('denied', 'HTTP 403 AccessDenied');

/** A storage on two servers in memory, a file system in memory and a fake clock. */
export async function openTestStorage(
  options: Partial<StorageOptions> = {},
  kept: Partial<Pick<TestStorage, 'clock' | 'files' | 'primary' | 'mirror'>> = {},
): Promise<TestStorage> {
  const clock = kept.clock ?? createFakeClock();
  const files = kept.files ?? createMemoryFileSystem();
  const primary = kept.primary ?? createMemoryBackend({ name: 'primary', clock });
  const mirror = kept.mirror ?? createMemoryBackend({ name: 'mirror', clock });
  const storage = createStorage({
    backends: [primary, mirror],
    clock,
    files,
    random: seededRandom(1),
    lateWriteMs: 10_000,
    ...options,
    journal: { directory: '/storage', segmentBytes: 65_536, ...options.journal },
  });
  await storage.ready();
  return {
    storage,
    clock,
    files,
    primary,
    mirror,
    restart() {
      const survived = files.crash('kill', seededRandom(1));
      return openTestStorage(options, { clock, files: survived, primary, mirror });
    },
  };
}

/** The content of a key on a server in memory, as text. */
export function textAt(backend: MemoryBackend, key: string): string | undefined {
  const stored = backend.objects.get(key);
  return stored === undefined ? undefined : Buffer.from(stored.bytes).toString();
}

/** A write of another writer, directly to the server. */
export function writeElsewhere(backend: MemoryBackend, key: string, text: string): void {
  backend.apply(key, Buffer.from(text), {});
}
