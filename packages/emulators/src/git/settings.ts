import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { listOf } from '../control/list-rule.ts';

/** What a client wants: to bring commits, or to get them. */
export type GitService = 'push' | 'fetch';

interface FaultScope {
  /** Which requests it strikes. Default: both. */
  readonly service?: GitService;
  /** How many requests it strikes before it is spent; a push or a fetch makes two. Default: all. */
  readonly times?: number;
}

/**
 * What the remote does wrong. `status`: answers so. `slow`: answers after `delayMs`. `rejectPush`: takes a
 * push in and declines it, as a hook of the repository would. `credentials`: answers 401 to who does not
 * bring them.
 */
export type GitFault =
  | (FaultScope & { readonly kind: 'status'; readonly status: number })
  | (FaultScope & { readonly kind: 'slow'; readonly delayMs: number })
  | { readonly kind: 'rejectPush'; readonly message?: string; readonly times?: number }
  | (FaultScope & {
      readonly kind: 'credentials';
      readonly username: string;
      readonly password: string;
    });

export type GitFaultKind = GitFault['kind'];

export interface GitOptions {
  /** Repositories that are there from the beginning, by name. */
  repositories?: readonly string[];
  /** What goes wrong from the beginning. */
  faults?: readonly GitFault[];
}

/** All that a git remote is told. */
export interface GitSettings {
  readonly repositories: readonly string[];
  readonly faults: readonly GitFault[];
}

const LONGEST_MS = 3_600_000;
const MAX_REPOSITORIES = 1_000;
const MAX_FAULTS = 100;

/** One or more words with slashes between; never one that leads elsewhere or that git keeps for itself. */
export const repositoryRule: OptionRule<string> = {
  permitted: `up to 100 letters, digits, '.', '-', '_' and '/', no part of it beginning with '.' or ending in '.git' or '.lock'`,
  parse(value, field, owner) {
    const isName =
      typeof value === 'string' &&
      value.length <= 100 &&
      value.split('/').every((part) => /^\w[\w.-]*$/.test(part) && !/\.(?:git|lock)$/.test(part));
    if (isName) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const kindRule = oneOf<GitFaultKind>(['status', 'slow', 'rejectPush', 'credentials']);
const times = optional(integer({ min: 1, max: 1_000_000 }));
const scopeShape = {
  kind: kindRule,
  service: optional(oneOf<GitService>(['push', 'fetch'])),
  times,
};
const word = string({ maxLength: 200 });
const shapes = {
  status: { ...scopeShape, status: integer({ min: 400, max: 599 }) },
  slow: { ...scopeShape, delayMs: integer({ min: 1, max: LONGEST_MS }) },
  rejectPush: { kind: kindRule, times, message: string({ maxLength: 1_000, default: 'declined' }) },
  credentials: { ...scopeShape, username: word, password: word },
};

const faultRule: OptionRule<GitFault> = {
  permitted: 'an object',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const given = 'kind' in value ? value.kind : undefined;
    const kind = kindRule.parse(given, `${field}.kind`, owner);
    if (kind === 'rejectPush') {
      const read = parseOptions(owner, shapes.rejectPush, value, field);
      return { kind, message: read.message, ...scopeOf({ ...read, service: undefined }) };
    }
    if (kind === 'status') {
      const read = parseOptions(owner, shapes.status, value, field);
      return { kind, status: read.status, ...scopeOf(read) };
    }
    if (kind === 'slow') {
      const read = parseOptions(owner, shapes.slow, value, field);
      return { kind, delayMs: read.delayMs, ...scopeOf(read) };
    }
    const read = parseOptions(owner, shapes.credentials, value, field);
    return { kind, username: read.username, password: read.password, ...scopeOf(read) };
  },
};

function scopeOf(read: { service: GitService | undefined; times: number | undefined }): FaultScope {
  return {
    ...(read.service !== undefined && { service: read.service }),
    ...(read.times !== undefined && { times: read.times }),
  };
}

const shape = {
  repositories: listOf(repositoryRule, MAX_REPOSITORIES),
  faults: listOf(faultRule, MAX_FAULTS),
};

/** Options with their defaults. @throws InvalidOptionError naming the field, from `path` on. */
export function parseGitSettings(owner: string, given: unknown, path?: string): GitSettings {
  return parseOptions(owner, shape, given, path);
}
