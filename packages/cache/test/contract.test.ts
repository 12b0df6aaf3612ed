import { describe } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { honoursCacheContract } from '../src/contract.ts';
import { createCache, createMemoryCache } from '../src/index.ts';

describe.each(['frozen', 'encoded', 'reference'] as const)('in memory, held %s', (hold) => {
  honoursCacheContract(() => createMemoryCache({ hold, clock: createFakeClock() }));
});

describe.each(['frozen', 'encoded', 'reference'] as const)('before a source, held %s', (hold) => {
  honoursCacheContract(() => {
    const cache = createCache({ memory: { hold }, clock: createFakeClock() });
    return {
      lookup(key) {
        const found = cache.get(key);
        if (found === undefined) return { kind: 'miss' };
        return { kind: 'hit', value: found.value, expiresInMs: 0 };
      },
      set: (key, value, options) => cache.set(key, value, options),
      delete: (key) => cache.delete(key),
      clear: () => cache.clear(),
    };
  });
});
