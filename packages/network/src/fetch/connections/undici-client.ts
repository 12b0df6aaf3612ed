import { createRequire } from 'node:module';
import { propertyOf } from '@holdfast/foundation';
import { shortageOfDescriptors } from '../../dialing/shortage.ts';
import type { UndiciClient } from './http1-connection.ts';

export const OLDEST_UNDICI = 7;

/** Read by undici with the first connection: without a descriptor for it, that call would fail. */
const PARSER = 'undici/lib/llhttp/llhttp_simd-wasm.js';

let loaded: UndiciClient | undefined;

/**
 * The client of undici; `undefined` if none is installed that is new enough. By `require`, and not by `import()`: where
 * no descriptor is left, an import fails for the life of the process, and a later `require` succeeds.
 * @throws what keeps it from being loaded now, such as the shortage
 */
export function loadUndici(): UndiciClient | undefined {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  try {
    const version = propertyOf(require('undici/package.json'), 'version');
    if (!(Number.parseInt(String(version), 10) >= OLDEST_UNDICI)) return undefined;
    const client: unknown = propertyOf(require('undici'), 'Client');
    if (!isClient(client)) return undefined;
    loadParser(require);
    loaded = client;
    return client;
  } catch (error) {
    const shortage = shortageOfDescriptors();
    if (shortage !== undefined) throw shortage;
    if (propertyOf(error, 'code') === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function loadParser(require: NodeJS.Require): void {
  try {
    require(PARSER);
  } catch (error) {
    // A version that keeps it elsewhere loads it with its first connection.
    if (propertyOf(error, 'code') !== 'MODULE_NOT_FOUND') throw error;
  }
}

function isClient(value: unknown): value is UndiciClient {
  return typeof value === 'function';
}
