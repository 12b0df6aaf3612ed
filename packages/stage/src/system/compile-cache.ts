import { join } from 'node:path';
import type { Environment } from './executable.ts';
import { cacheFolder } from './path.ts';

/**
 * The environment by which Node keeps the compiled code of a program of ours on disk: the program then starts
 * in a third of the time. Node ignores an entry that does not match the present source.
 * https://nodejs.org/api/module.html#module-compile-cache
 */
export function compileCache(env: Environment): Record<string, string> {
  return { NODE_COMPILE_CACHE: join(cacheFolder(env), 'holdfast', 'node') };
}
