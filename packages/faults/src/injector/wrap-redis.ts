import { settleCallback, splitCallback } from './node-callback.ts';

/** The part of an ioredis client, standalone or cluster, that is used. */
export interface RedisClient {
  /** Returns the names of the commands that have a method. */
  getBuiltinCommands(): string[];
}

/** Makes a call with the faults drawn for it. */
export type Execute = (call: () => Promise<unknown>) => Promise<unknown>;

/** Methods whose result cannot be damaged, or that send more than one command. */
const unwrapped = new Set([
  'quit',
  'multi',
  'pipeline',
  'monitor',
  'subscribe',
  'psubscribe',
  'ssubscribe',
]);

/**
 * Wraps a client so that faults are injected before and after each command, and each pipeline as a whole. Methods keep
 * their types, and events are the client's own.
 */
export function wrapRedis<Client extends RedisClient>(client: Client, execute: Execute): Client {
  const names = client.getBuiltinCommands().filter((name) => !unwrapped.has(name));
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
      return (...args: unknown[]) => wrapExec(Reflect.apply(member, target, args), execute);
    },
  });
}

/** Treats a pipeline as one call: a fault applies to all of it. */
function wrapExec(pipeline: unknown, execute: Execute): unknown {
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
