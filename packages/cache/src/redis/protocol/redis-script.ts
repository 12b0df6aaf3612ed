import { createHash } from 'node:crypto';

/** A script that Redis runs in one step. */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

/** A Lua script with the digest by which Redis knows it. */
export function redisScript(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}
