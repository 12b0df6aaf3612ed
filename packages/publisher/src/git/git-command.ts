import { type Clock, environment, hideCredentials } from '@holdfast/foundation';
import { type ProcessResult, runProcess } from '../process/run-process.ts';

/** Where git runs, and how long. */
export interface GitDeps {
  /** The work tree. */
  readonly directory: string;
  /** The longest that one command may run, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Who commits. */
  readonly author: { readonly name: string; readonly email: string };
}

/** A user and password, or a token as password. */
export interface GitCredential {
  readonly username: string;
  readonly password: string;
}

/** What one command needs beside its arguments. */
export interface GitCall {
  readonly signal?: AbortSignal | undefined;
  /** Sent to this remote only; it is in the environment of git, never among its arguments. */
  readonly credential?: { readonly url: string; readonly value: GitCredential } | undefined;
  /** Author and committer date: the same date makes the same commit. */
  readonly dateMs?: number | undefined;
}

const KILL_GRACE_MS = 500;
const MAX_OUTPUT_BYTES = 4_194_304;
const MS_PER_SECOND = 1_000;

/**
 * Runs a git command: without the configuration of the machine, without a prompt, in its own process group. Never
 * rejects; what its output says of credentials is hidden.
 */
export async function git(
  deps: GitDeps,
  args: readonly string[],
  call: GitCall = {},
): Promise<ProcessResult> {
  const result = await runProcess({
    command: 'git',
    args,
    cwd: deps.directory,
    env: gitVariables(deps, call),
    timeoutMs: deps.timeoutMs,
    killGraceMs: KILL_GRACE_MS,
    maxOutputBytes: MAX_OUTPUT_BYTES,
    signal: call.signal,
    clock: deps.clock,
  });
  return { ...result, stderr: hideCredentials(result.stderr) };
}

/** The value of an `Authorization` header. */
export function basicAuthorization({ username, password }: GitCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function gitVariables({ author }: GitDeps, call: GitCall): Record<string, string> {
  const settings: [string, string][] = [
    ['core.hooksPath', '/dev/null'],
    ['gc.auto', '0'],
    ['protocol.version', '2'],
  ];
  if (call.credential !== undefined) {
    const { url, value } = call.credential;
    settings.push([`http.${url}.extraHeader`, `Authorization: ${basicAuthorization(value)}`]);
  }
  const variables: Record<string, string> = {
    PATH: environment['PATH'] ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/true',
    GIT_EDITOR: '/bin/true',
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_COMMITTER_NAME: author.name,
    GIT_COMMITTER_EMAIL: author.email,
    GIT_CONFIG_COUNT: String(settings.length),
  };
  if (call.dateMs !== undefined) {
    const date = `${Math.floor(call.dateMs / MS_PER_SECOND)} +0000`;
    variables['GIT_AUTHOR_DATE'] = date;
    variables['GIT_COMMITTER_DATE'] = date;
  }
  for (const [index, [key, value]] of settings.entries()) {
    variables[`GIT_CONFIG_KEY_${index}`] = key;
    variables[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return variables;
}
