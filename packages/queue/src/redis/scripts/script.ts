import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { isUnknownScript } from '../errors.ts';

/** A Lua script and the SHA-1 under which Redis caches it. */
export interface LuaScript {
  readonly lua: string;
  readonly sha: string;
}

export function script(lua: string): LuaScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** Runs a script by its SHA-1, or by its text when Redis has not cached it. */
export async function runScript(
  client: Redis,
  { sha, lua }: LuaScript,
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
