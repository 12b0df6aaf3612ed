import { join } from 'node:path';
import type { Environment } from '../topology/server-spec.ts';
import { cacheFolder } from './path.ts';

/**
 * Lets a program of this package keep what Node has made of its sources: read from there it starts in a
 * third of the time. What is used is what fits the sources as they are.
 * https://nodejs.org/api/module.html#module-compile-cache
 */
export function compileCache(env: Environment): Record<string, string> {
  return { NODE_COMPILE_CACHE: join(cacheFolder(env), 'holdfast', 'node') };
}
