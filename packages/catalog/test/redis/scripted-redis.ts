import type { CacheRedisClient } from '../../src/redis.ts';

/** A command as it is sent; a script by its text, with its keys and arguments. */
export type Command = readonly unknown[];

/** A client whose server answers as the test says; an Error is an answer too. */
export interface ScriptedRedis extends CacheRedisClient {
  readonly commands: Command[];
  /** Whether there is a connection. */
  isUp: boolean;
  renewals: number;
}

class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** @param answer to a command; what never settles is never answered. */
export function scriptedRedis(answer: (command: Command) => unknown): ScriptedRedis {
  const commands: Command[] = [];
  const listeners = new Map<string, (error: unknown) => void>();
  const ask = async (command: Command): Promise<[unknown, unknown]> => {
    // Scripts are sent by their text: the server knows none of them.
    if (command[0] === 'evalsha') return [new ReplyError('NOSCRIPT'), undefined];
    const sent = command[0] === 'eval' ? [command[1], ...command.slice(3)] : command;
    commands.push(sent);
    const reply = await answer(sent);
    return reply instanceof Error ? [new ReplyError(reply.message), undefined] : [null, reply];
  };
  const redis: ScriptedRedis = {
    commands,
    isUp: true,
    renewals: 0,
    get status() {
      return redis.isUp ? 'ready' : 'reconnecting';
    },
    duplicate: () => ({
      get status() {
        return redis.status;
      },
      stream: {
        destroy() {
          redis.renewals += 1;
          listeners.get('close')?.(undefined);
        },
      },
      on: (event: string, listener: (error: unknown) => void) => listeners.set(event, listener),
      connect: () => Promise.resolve(),
      disconnect: () => undefined,
      pipeline: (sent: Command[]) => ({ exec: () => Promise.all(sent.map(ask)) }),
    }),
  };
  return redis;
}

export const NEVER: Promise<never> = new Promise(() => undefined);
