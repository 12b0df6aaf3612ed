import {
  InvalidOptionError,
  type OptionRule,
  integer,
  number,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import type { CountedFault } from '../../fault-injector.ts';
import {
  keyFirst,
  needsMemory,
  whileBusy,
  whileLoading,
  withoutPassword,
  writes,
} from './command-flags.ts';
import { keySlot, type RedisCommand } from '@holdfast/protocols/redis';

/** Which commands a refusal strikes. */
export interface RedisErrorOptions {
  /** Names of commands. Default: those that Redis itself would refuse so. */
  commands?: readonly string[];
  /** Share of these commands, 0 to 1, drawn for each. Default 1. */
  probability?: number;
  /** It strikes so many commands, then no more. Default: no end. */
  times?: number;
}

export interface RedisRedirectOptions extends RedisErrorOptions {
  /** Where the client is sent. Default: to the proxy again, so that it goes in circles. */
  to?: { host: string; port: number };
}

/** Each refusal of Redis, by the word it begins with. */
export interface RedisErrors {
  /** Out of memory: whatever may need some. */
  OOM: RedisErrorOptions;
  /** It is a replica: whatever writes. */
  READONLY: RedisErrorOptions;
  /** It reads its data still: nearly everything. */
  LOADING: RedisErrorOptions;
  /** It cannot save its data: whatever writes, and PING. */
  MISCONF: RedisErrorOptions;
  /** It wants a password: everything but giving one. */
  NOAUTH: RedisErrorOptions;
  /** A script runs: nearly everything. */
  BUSY: RedisErrorOptions;
  /** The cluster is down: whatever has a key. */
  CLUSTERDOWN: RedisErrorOptions;
  /** The key's slot has moved: whatever has a key. */
  MOVED: RedisRedirectOptions;
  /** The key's slot is moving: whatever has a key. */
  ASK: RedisRedirectOptions;
}

export type RedisErrorKind = keyof RedisErrors;

/** In the order in which Redis itself looks for reasons to refuse. */
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

const namesRule: OptionRule<ReadonlySet<string> | undefined> = optional({
  permitted: 'a list of names of commands',
  parse(value, field, owner) {
    if (!isNames(value))
      throw new InvalidOptionError(owner, field, value, 'a list of names of commands');
    return new Set(value.map((name) => name.toLowerCase()));
  },
});

const aimShape = {
  commands: namesRule,
  probability: number({ min: 0, max: 1, default: 1 }),
  times: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: Number.MAX_SAFE_INTEGER }),
};
const toShape = { host: string({ maxLength: 253 }), port: integer({ min: 1, max: 65_535 }) };
const redirectionShape = {
  ...aimShape,
  to: optional({
    permitted: 'an object',
    parse: (value, field, owner) => parseOptions(owner, toShape, value, field),
  } satisfies OptionRule<{ readonly host: string; readonly port: number }>),
};

/** @throws InvalidOptionError, also for a word that is not known. */
export function parseRedisError(word: RedisErrorKind, options: unknown): ResolvedRedisError {
  if (!redisErrorKinds.includes(word)) {
    const permitted = `one of ${redisErrorKinds.join(', ')}`;
    throw new InvalidOptionError('faults.set', 'word', word, permitted);
  }
  const owner = `faults.set('${word}')`;
  if (word === 'MOVED' || word === 'ASK') return parseOptions(owner, redirectionShape, options);
  return { ...parseOptions(owner, aimShape, options), to: undefined };
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

/** Whether a refusal is for this command. */
export function refusesCommand(
  { commands }: ResolvedRedisError,
  word: RedisErrorKind,
  name: string,
): boolean {
  return commands === undefined ? refusedBy[word](name) : commands.has(name);
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

/** The refusal as Redis words it, without the sign and the line end. */
export function errorText(
  word: RedisErrorKind,
  { to }: ResolvedRedisError,
  command: RedisCommand,
  here: { host: string; port: number },
): string {
  if (word !== 'MOVED' && word !== 'ASK') return `${word} ${texts[word]}`;
  const { host, port } = to ?? here;
  return `${word} ${keySlot(command.args[0] ?? Buffer.alloc(0))} ${host}:${port}`;
}

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name !== '')
  );
}
