import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { parseKind } from '../options/kind.ts';
import { withoutUndefined } from '../options/without-undefined.ts';
import { listOf } from '../options/list-rule.ts';

/** The service a client requests: git-receive-pack or git-upload-pack. */
export type GitService = 'push' | 'fetch';

interface FaultScope {
  /** The requests it affects. Default: both. */
  readonly service?: GitService;
  /** The number of requests it affects; a push or a fetch makes two. Default: all. */
  readonly times?: number;
}

/**
 * A fault of the remote. `status`: responds with this status. `slow`: responds after `delayMs`. `rejectPush`:
 * receives a push and declines it, as a hook of the repository does. `credentials`: responds 401 to requests
 * without these credentials.
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

/** The name of a fault of git. */
export type GitFaultKind = GitFault['kind'];

/** Options of the git server. */
export interface GitOptions {
  /** Names of the repositories that exist from the start. */
  repositories?: readonly string[];
  /** Faults from the start. */
  faults?: readonly GitFault[];
}

/** The settings of the git program. */
export interface GitSettings {
  readonly repositories: readonly string[];
  readonly faults: readonly GitFault[];
}

const LONGEST_MS = 3_600_000;
const MAX_REPOSITORIES = 1_000;
const MAX_FAULTS = 100;

/** A path of plain segments: it can neither leave the directory nor use a name that git reserves. */
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
const credential = string({ maxLength: 200 });
const shapes = {
  status: { ...scopeShape, status: integer({ min: 400, max: 599 }) },
  slow: { ...scopeShape, delayMs: integer({ min: 1, max: LONGEST_MS }) },
  rejectPush: { kind: kindRule, times, message: string({ maxLength: 1_000, default: 'declined' }) },
  credentials: { ...scopeShape, username: credential, password: credential },
};

const faultRule: OptionRule<GitFault> = {
  permitted: 'a fault',
  parse(value, field, owner) {
    const kind = parseKind(kindRule, value, field, owner);
    if (kind === 'rejectPush') {
      return { ...withoutUndefined(parseOptions(owner, shapes.rejectPush, value, field)), kind };
    }
    if (kind === 'status') {
      return { ...withoutUndefined(parseOptions(owner, shapes.status, value, field)), kind };
    }
    if (kind === 'slow') {
      return { ...withoutUndefined(parseOptions(owner, shapes.slow, value, field)), kind };
    }
    return { ...withoutUndefined(parseOptions(owner, shapes.credentials, value, field)), kind };
  },
};

const shape = {
  repositories: listOf(repositoryRule, MAX_REPOSITORIES),
  faults: listOf(faultRule, MAX_FAULTS),
};

/** Options with their defaults. @throws InvalidOptionError naming the field, from `path` on. */
export function parseGitSettings(owner: string, given: unknown, path?: string): GitSettings {
  return parseOptions(owner, shape, given, path);
}
