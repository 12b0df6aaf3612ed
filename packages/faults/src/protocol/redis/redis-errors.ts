import {
  InvalidOptionError,
  type OptionRule,
  integer,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { type RedisCommand, keySlot } from '@holdfast/protocols/redis';
import { type CountedFault, countedShape } from '../../fault-injector.ts';
import { nameSet } from '../name-set.ts';
import {
  keyFirst,
  needsMemory,
  whileBusy,
  whileLoading,
  withoutPassword,
  writes,
} from './command-flags.ts';

/** Which commands an error refuses. */
export interface RedisErrorOptions {
  /** Names of commands. Default: those that Redis refuses with this error. */
  commands?: readonly string[];
  /** The share of these commands, 0 to 1, drawn for each. Default 1. */
  probability?: number;
  /** How many commands it refuses. Default: no limit. */
  times?: number;
}

/** Options of a redirection: `MOVED` and `ASK`. */
export interface RedisRedirectOptions extends RedisErrorOptions {
  /** Where the client is redirected. Default: to the proxy itself, an endless redirect. */
  to?: {
    /** The host. */
    host: string;
    /** The port. */
    port: number;
  };
}

/** The options of each error of Redis, by its first word. */
export interface RedisErrors {
  /** Out of memory; refuses commands that may need memory. */
  OOM: RedisErrorOptions;
  /** The server is a replica; refuses writes. */
  READONLY: RedisErrorOptions;
  /** The server is loading its data; refuses nearly everything. */
  LOADING: RedisErrorOptions;
  /** The server cannot save its data; refuses writes and PING. */
  MISCONF: RedisErrorOptions;
  /** A password is required; refuses everything but authentication. */
  NOAUTH: RedisErrorOptions;
  /** A script is running; refuses nearly everything. */
  BUSY: RedisErrorOptions;
  /** The cluster is down; refuses commands with a key. */
  CLUSTERDOWN: RedisErrorOptions;
  /** The key's slot has moved; redirects commands with a key. */
  MOVED: RedisRedirectOptions;
  /** The key's slot is moving; redirects commands with a key. */
  ASK: RedisRedirectOptions;
}

/** The first word of an error of Redis. */
export type RedisErrorKind = keyof RedisErrors;

/** In the order in which Redis checks for them. */
export const redisErrorKinds: readonly RedisErrorKind[] = [
  'NOAUTH',
  'MOVED',
  'ASK',
  'CLUSTERDOWN',
  'OOM',
  'MISCONF',
  'READONLY',
  'LOADING',
  'BUSY',
];

export interface ResolvedRedisError extends CountedFault {
  readonly commands: ReadonlySet<string> | undefined;
  readonly to: { readonly host: string; readonly port: number } | undefined;
}

const shape = { ...countedShape, commands: nameSet('a list of names of commands') };
const toShape = { host: string({ maxLength: 253 }), port: integer({ min: 1, max: 65_535 }) };
const redirectShape = {
  ...shape,
  to: optional({
    permitted: 'an object',
    parse: (value, field, owner) => parseOptions(owner, toShape, value, field),
  } satisfies OptionRule<{ readonly host: string; readonly port: number }>),
};

/** @throws InvalidOptionError, also for an unknown kind. */
export function parseRedisError(kind: RedisErrorKind, options: unknown): ResolvedRedisError {
  if (!redisErrorKinds.includes(kind)) {
    const permitted = `one of ${redisErrorKinds.join(', ')}`;
    throw new InvalidOptionError('faults.set', 'kind', kind, permitted);
  }
  const owner = `faults.set('${kind}')`;
  if (kind === 'MOVED' || kind === 'ASK') return parseOptions(owner, redirectShape, options);
  return { ...parseOptions(owner, shape, options), to: undefined };
}

const refusedBy: Readonly<Record<RedisErrorKind, (name: string) => boolean>> = {
  OOM: (name) => needsMemory.has(name),
  READONLY: (name) => writes.has(name),
  MISCONF: (name) => writes.has(name) || name === 'ping',
  LOADING: (name) => !whileLoading.has(name),
  NOAUTH: (name) => !withoutPassword.has(name),
  BUSY: (name) => !whileBusy.has(name),
  CLUSTERDOWN: (name) => keyFirst.has(name),
  MOVED: (name) => keyFirst.has(name),
  ASK: (name) => keyFirst.has(name),
};

/** Returns whether an error refuses this command. */
export function refusesCommand(
  { commands }: ResolvedRedisError,
  kind: RedisErrorKind,
  name: string,
): boolean {
  return commands === undefined ? refusedBy[kind](name) : commands.has(name);
}

const texts: Readonly<Record<Exclude<RedisErrorKind, 'MOVED' | 'ASK'>, string>> = {
  OOM: "command not allowed when used memory > 'maxmemory'.",
  READONLY: "You can't write against a read only replica.",
  LOADING: 'Redis is loading the dataset in memory',
  MISCONF:
    "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
  NOAUTH: 'Authentication required.',
  BUSY: 'Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
  CLUSTERDOWN: 'The cluster is down',
};

/** Returns the error message of Redis. @param self the address of the proxy. */
export function errorText(
  kind: RedisErrorKind,
  { to }: ResolvedRedisError,
  command: RedisCommand,
  self: { host: string; port: number },
): string {
  if (kind !== 'MOVED' && kind !== 'ASK') return `${kind} ${texts[kind]}`;
  const { host, port } = to ?? self;
  return `${kind} ${keySlot(command.args[0] ?? Buffer.alloc(0))} ${host}:${port}`;
}
