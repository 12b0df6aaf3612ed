import { createHash } from 'node:crypto';
import type { IoredisClient } from '../connector.ts';
import { isUnknownScript } from '../errors.ts';

/**
 * The payload after which a script that goes through stored jobs ends, and is run again from there: the server runs
 * nothing else meanwhile.
 */
export const MAX_STEP_BYTES = 262_144;

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
  client: IoredisClient,
  { sha, lua }: LuaScript,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await client.call('EVALSHA', sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return client.call('EVAL', lua, keys.length, ...keys, ...args);
  }
}
