import type { Bundle, GenerationManifest } from '../src/catalog.ts';
import { CatalogFencedError } from '../src/generations/errors.ts';
import type { GenerationReader, GenerationStore } from '../src/generations/generation-store.ts';

interface Published {
  readonly manifest: GenerationManifest;
  readonly bundles: readonly Bundle[];
}

/** A store in this process, for tests of what stands on stores. */
export interface MemoryStore extends GenerationStore {
  published: Published | undefined;
  /** The highest token that has staged or published. */
  token: number;
  /** Thrown by every call while it is set. */
  failure: Error | undefined;
}

export function createMemoryStore(name = 'memory-store'): MemoryStore {
  const check = (): void => {
    if (store.failure !== undefined) throw store.failure;
  };
  const checkFence = (given: { generation: number; token: number }): void => {
    const generation = store.published?.manifest.generation ?? 0;
    const token = Math.max(store.token, store.published?.manifest.token ?? 0);
    if (given.token < token || given.generation <= generation) {
      throw new CatalogFencedError(name, given, { generation, token });
    }
    store.token = given.token;
  };
  const store: MemoryStore = {
    name,
    published: undefined,
    token: 0,
    failure: undefined,
    async stage(place, { signal } = {}) {
      signal?.throwIfAborted();
      check();
      checkFence(place);
      let bundles: Bundle[] = [];
      return {
        async add(more) {
          check();
          bundles.push(...more);
        },
        async publish(manifest) {
          check();
          checkFence(manifest);
          store.published = { manifest, bundles };
          bundles = [];
        },
        async discard() {
          bundles = [];
        },
      };
    },
    async current() {
      check();
      return store.published?.manifest;
    },
    async open() {
      check();
      return store.published === undefined ? undefined : readerOf(store.published);
    },
    async close() {},
  };
  return store;
}

function readerOf({ manifest, bundles }: Published): GenerationReader {
  return {
    manifest,
    async readRow(row) {
      return bundles[row];
    },
    async *readAll() {
      yield bundles;
    },
    async close() {},
  };
}
