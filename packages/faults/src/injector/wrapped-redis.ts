import { settleCallback, splitCallback } from './node-callback.ts';

/** What is known of a client of ioredis, standalone or cluster. */
export interface RedisClient {
  /** The names of the commands it has methods for. */
  getBuiltinCommands(): string[];
}

/** Makes a call, unless a fault does otherwise. */
export type Execute = (call: () => Promise<unknown>) => Promise<unknown>;

/** They answer nothing that a fault could be in, or are not sent as one command. */
const spared = new Set([
  'quit',
  'multi',
  'pipeline',
  'monitor',
  'subscribe',
  'psubscribe',
  'ssubscribe',
]);

/**
 * The same client, with faults before and behind each command and each pipeline as a whole. What a function
 * returns keeps its type; so do events, which are the client's own.
 */
export function wrappedRedis<Client extends RedisClient>(client: Client, execute: Execute): Client {
  const names = client.getBuiltinCommands().filter((name) => !spared.has(name));
  const commands = new Set<string | symbol>(names.flatMap((name) => [name, `${name}Buffer`]));
  commands.add('call').add('callBuffer');
  return new Proxy(client, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      if (commands.has(key)) {
        return (...given: unknown[]) => {
          const { args, callback } = splitCallback(given);
          return settleCallback(
            execute(async () => Reflect.apply(member, target, args)),
            callback,
          );
        };
      }
      if (key !== 'multi' && key !== 'pipeline') return member.bind(target);
      return (...args: unknown[]) => faultyAtExec(Reflect.apply(member, target, args), execute);
    },
  });
}

/** A pipeline is one call: what a fault does, it does to all of it. */
function faultyAtExec(pipeline: unknown, execute: Execute): unknown {
  if (typeof pipeline !== 'object' || pipeline === null || !('exec' in pipeline)) return pipeline;
  const { exec } = pipeline;
  if (typeof exec !== 'function') return pipeline;
  pipeline.exec = (...given: unknown[]) => {
    const { callback } = splitCallback(given);
    return settleCallback(
      execute(async () => Reflect.apply(exec, pipeline, [])),
      callback,
    );
  };
  return pipeline;
}
