import { settleCallback, splitCallback } from './node-callback.ts';
import { type Execute, wrapMembers } from './wrap-members.ts';

/** The part of an ioredis client, standalone or cluster, that is used. */
export interface RedisClient {
  /** Returns the names of the commands that have a method. */
  getBuiltinCommands(): string[];
}

/** Commands that are treated otherwise, or that end the connection. */
const unwrapped = new Set(['quit', 'multi', 'pipeline', 'monitor']);
const generic = new Set<PropertyKey>(['call', 'callBuffer', 'send_command']);
/** Methods that read by commands of the client they are called on. */
const reading = /scan(?:Buffer)?Stream$/i;

/**
 * Wraps a client so that faults are injected before and after each command, and each pipeline as a whole: also commands
 * that are defined later, those of `call` and `sendCommand`, those of scan streams, and those of duplicates and nodes.
 * Methods keep their types, and events are the client's own.
 */
export function wrapRedis<Client extends RedisClient>(client: Client, execute: Execute): Client {
  const names = client.getBuiltinCommands().filter((name) => !unwrapped.has(name));
  const builtin = new Set<PropertyKey>(names.flatMap((name) => [name, `${name}Buffer`]));
  const injectIntoCall = (
    target: object,
    member: Function,
    given: readonly unknown[],
    name: PropertyKey,
  ): unknown => {
    const { args, callback } = splitCallback(given);
    const call = async (): Promise<unknown> => Reflect.apply(member, target, args);
    const operation = generic.has(name) ? args : [name, ...args];
    return settleCallback(execute(call, connectionOf(target), undefined, operation), callback);
  };
  return wrapMembers(client, {
    isClient: isRedis,
    inject(key, member, target, { proxy }) {
      if (builtin.has(key) || generic.has(key))
        return (args) => injectIntoCall(target, member, args, key);
      if (typeof key !== 'string') return undefined;
      if (reading.test(key)) return (args) => Reflect.apply(member, proxy, args);
      if (key === 'sendCommand') return (args) => injectIntoCommand(target, member, args, execute);
      if (key === 'multi' || key === 'pipeline') {
        return (args) =>
          args.some(isWithoutPipeline)
            ? injectIntoCall(target, member, args, key)
            : wrapExec(Reflect.apply(member, target, args), execute, connectionOf(target));
      }
      return isDefined(target, key)
        ? (args) => injectIntoCall(target, member, args, key)
        : undefined;
    },
  });
}

/** Injects faults into a command that its caller made. One of a pipeline comes with the pipeline's stream, and is part of it. */
function injectIntoCommand(
  target: object,
  member: Function,
  args: readonly unknown[],
  execute: Execute,
): unknown {
  if (args.length > 1 && args[1] !== undefined) return Reflect.apply(member, target, args);
  const [command] = args;
  const send = async (): Promise<unknown> => Reflect.apply(member, target, args);
  const result = execute(send, connectionOf(target), undefined, operationOf(command));
  // Whoever waits for the command itself learns of the fault too.
  result.catch((error: unknown) => rejectCommand(command, error));
  return result;
}

/** The name and the arguments of a command. */
function operationOf(command: unknown): unknown[] {
  const name: unknown = Reflect.get(Object(command), 'name');
  const args: unknown = Reflect.get(Object(command), 'args');
  return [name, ...(Array.isArray(args) ? args : [])];
}

function rejectCommand(command: unknown, error: unknown): void {
  if (typeof command !== 'object' || command === null || !('reject' in command)) return;
  if ('promise' in command) Promise.resolve(command.promise).catch(() => {});
  if (typeof command.reject === 'function') Reflect.apply(command.reject, command, [error]);
}

/** Whether a method is a command of the caller's: by `defineCommand`, `options.scripts` or `addBuiltinCommand`. */
function isDefined(target: object, key: string): boolean {
  const name = key.endsWith('Buffer') ? key.slice(0, -'Buffer'.length) : key;
  const scripts: unknown = Reflect.get(target, 'scriptsSet');
  const added: unknown = Reflect.get(target, 'addedBuiltinSet');
  const isIn = (one: string): boolean =>
    (typeof scripts === 'object' && scripts !== null && Object.hasOwn(scripts, one)) ||
    (added instanceof Set && added.has(one) && !unwrapped.has(one));
  return isIn(key) || isIn(name);
}

/** Whether `multi` was asked to send each command by itself. */
function isWithoutPipeline(arg: unknown): boolean {
  return typeof arg === 'object' && arg !== null && 'pipeline' in arg && arg.pipeline === false;
}

function isRedis(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    'getBuiltinCommands' in value &&
    !('isPipeline' in value)
  );
}

/** Treats a pipeline as one call: a fault applies to all of it. */
function wrapExec(pipeline: unknown, execute: Execute, connection: object | undefined): unknown {
  if (typeof pipeline !== 'object' || pipeline === null || !('exec' in pipeline)) return pipeline;
  const { exec } = pipeline;
  if (typeof exec !== 'function') return pipeline;
  pipeline.exec = (...given: unknown[]) => {
    const { callback } = splitCallback(given);
    const queue: unknown = Reflect.get(pipeline, '_queue');
    const commands: readonly unknown[] = Array.isArray(queue) ? queue : [];
    const call = async (): Promise<unknown> => Reflect.apply(exec, pipeline, []);
    const operation = ['exec', ...commands.map(operationOf)];
    const result = execute(call, connection, undefined, operation);
    result.catch((error: unknown) => {
      for (const command of commands) rejectCommand(command, error);
    });
    return settleCallback(result, callback);
  };
  return pipeline;
}

/** Returns a client that has one connection; the nodes of a cluster answer in no order. */
function connectionOf(client: object): object | undefined {
  return 'isCluster' in client && client.isCluster === true ? undefined : client;
}
