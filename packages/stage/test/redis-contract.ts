import type { ServerUnderContract } from '../src/contract.ts';
import { askRedis } from '../src/redis/resp.ts';
import { type StageMode, openStage } from '../src/stage.ts';

/** The value of one command to a Redis; its errors are thrown. */
export async function redisValue(
  address: { host: string; port: number },
  command: readonly string[],
  signal: AbortSignal = AbortSignal.timeout(5_000),
): Promise<string | null> {
  const reply = await askRedis(address, command, signal);
  if (reply.kind === 'error') throw new Error(reply.text);
  return reply.value;
}

/** A Redis that writes each command through to its disk, as the contract wants it. */
export async function openRedis(mode: StageMode): Promise<ServerUnderContract> {
  const settings = { appendonly: 'yes', appendfsync: 'always' };
  const stage = await openStage({ mode, redis: { settings } });
  const { redis } = stage;
  return {
    server: redis,
    close: () => stage.close(),
    ping: async (signal) => {
      await redisValue(redis, ['PING'], signal);
    },
    store: async (key, value, signal) => {
      await redisValue(redis, ['SET', key, value], signal);
    },
    recall: (key, signal) => redisValue(redis, ['GET', key], signal),
    startLine: /Ready to accept connections/,
  };
}
