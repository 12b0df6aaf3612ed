import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { isUnknownScript } from '../errors.ts';

/** A Lua script and the name Redis caches it under. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** Runs a script by its name, and by its text where Redis does not know it yet. */
export async function runScript(
  client: Redis,
  { sha, lua }: Script,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return client.eval(lua, keys.length, ...keys, ...args);
  }
}
