import type { ServerUnderContract } from '../../src/contract.ts';
import { askRedis } from '../../src/servers/redis/command.ts';
import type { ServerHandle } from '../../src/handle/handle.ts';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';

/** The value of one command to a Redis; its errors are thrown. */
export async function redisValue(
  address: { host: string; port: number },
  command: readonly string[],
  signal: AbortSignal = AbortSignal.timeout(5_000),
): Promise<string | null> {
  const reply = await askRedis(address, command, signal);
  if (reply.kind === 'value') return reply.value;
  throw new Error(reply.kind === 'error' ? reply.text : 'a list');
}

/** On a busy machine an engine takes its time over a verb; no contract is about that. */
export const UNHURRIED = { stopTimeoutMs: 30_000 } as const;

/** A Redis that writes each command through to its disk, as the contract wants it. */
export async function openRedis(mode: StageMode): Promise<ServerUnderContract> {
  const settings = { appendonly: 'yes', appendfsync: 'always' };
  const stage = await openStage({ mode, redis: { settings }, ...UNHURRIED });
  return underContract(stage.redis, () => stage.close());
}

/** @param keyOf the key as this server takes it. */
export function underContract(
  server: ServerHandle,
  close: () => Promise<void>,
  keyOf: (key: string) => string = (key) => key,
): ServerUnderContract {
  return {
    server,
    close,
    ping: async (signal) => {
      await redisValue(server, ['PING'], signal);
    },
    store: async (key, value, signal) => {
      await redisValue(server, ['SET', keyOf(key), value], signal);
    },
    recall: (key, signal) => redisValue(server, ['GET', keyOf(key)], signal),
    startLine: /Ready to accept connections/,
  };
}
