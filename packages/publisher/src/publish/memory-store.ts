import { sha256Of } from '../build/verify-build.ts';
import type { SiteStore } from './site-store.ts';

/** A store in memory, with the conditions of S3: for tests and trials. */
export function createMemorySiteStore(name = 'memory'): SiteStore {
  const objects = new Map<string, { readonly body: Buffer; readonly etag: string }>();
  return {
    name,
    get: async (key) => objects.get(key),
    sizeOf: async (key) => objects.get(key)?.body.length,
    async put(key, body, _headers, condition) {
      const present = objects.get(key);
      if ('ifMatch' in condition && present?.etag !== condition.ifMatch) return 'conflict';
      if ('ifAbsent' in condition && present !== undefined) return 'conflict';
      const etag = `"${sha256Of(body)}"`;
      objects.set(key, { body: Buffer.from(body), etag });
      return { etag };
    },
    list: async (prefix) => [...objects.keys()].filter((key) => key.startsWith(prefix)).toSorted(),
    async remove(keys) {
      for (const key of keys) objects.delete(key);
      return { removed: keys, failed: [] };
    },
  };
}
