import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, sleep } from '@holdfast/foundation';
import { isEqualInConstantTime } from '../serving/constant-time.ts';
import type { RequestLog } from '../control/request-log.ts';
import { runBackend } from './cgi.ts';
import { REJECTION_VARIABLE } from './repositories.ts';
import type { GitFault, GitFaultKind, GitService } from './settings.ts';
import type { GitFaultSelector } from './fault-injector.ts';

/** One request to the remote; a push or a fetch makes two. */
export interface GitRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Absent for a request of neither service. */
  readonly service?: GitService;
  /** The status of the response; absent while there is none, or when the client disconnected before it. */
  readonly status?: number;
  /** The faults that were injected. */
  readonly faults: readonly GitFaultKind[];
  /** When it arrived, in milliseconds since the Unix epoch, by the remote's clock. */
  readonly atMs: number;
}

interface GitRequestDeps {
  readonly log: RequestLog<GitRequest>;
  readonly clock: Clock;
  /** The directory of all repositories. */
  readonly root: string;
  readonly rejectingHooks: string;
  readonly faults: GitFaultSelector;
}

/** Handles a request of a git client. Rejects when the client disconnects. */
export async function handleGitRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { log, clock, root, rejectingHooks, faults }: GitRequestDeps,
): Promise<void> {
  const { method = 'GET', url = '/' } = incoming;
  const service = serviceOf(url);
  const injected = faults.take({ service, isDelivery: service === 'push' && method === 'POST' });
  const entry: { -readonly [Key in keyof GitRequest]: GitRequest[Key] } = {
    method,
    path: url,
    faults: injected.map(({ kind }) => kind),
    atMs: clock.epochMs(),
  };
  if (service !== undefined) entry.service = service;
  log.record(entry);
  outgoing.once('finish', () => void (entry.status = outgoing.statusCode));
  const left = new AbortController();
  outgoing.once('close', () => left.abort());

  const variables: Record<string, string> = {};
  for (const fault of injected) {
    if (fault.kind === 'slow') await sleep(clock, fault.delayMs, left.signal);
    if (fault.kind === 'status') return respondEmpty(incoming, outgoing, fault.status, {});
    if (fault.kind === 'credentials' && !hasCredentials(incoming, fault)) {
      return respondEmpty(incoming, outgoing, 401, { 'www-authenticate': 'Basic realm="git"' });
    }
    if (fault.kind === 'rejectPush') {
      variables['GIT_CONFIG_COUNT'] = '1';
      variables['GIT_CONFIG_KEY_0'] = 'core.hooksPath';
      variables['GIT_CONFIG_VALUE_0'] = rejectingHooks;
      variables[REJECTION_VARIABLE] = fault.message ?? '';
    }
  }
  await runBackend(incoming, outgoing, { root, variables, signal: left.signal });
}

function respondEmpty(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  status: number,
  headers: Record<string, string>,
): void {
  incoming.resume();
  outgoing.writeHead(status, headers);
  outgoing.end();
}

function serviceOf(url: string): GitService | undefined {
  if (/\/git-receive-pack$|[?&]service=git-receive-pack(?:&|$)/.test(url)) return 'push';
  return /\/git-upload-pack$|[?&]service=git-upload-pack(?:&|$)/.test(url) ? 'fetch' : undefined;
}

function hasCredentials(
  { headers }: IncomingMessage,
  { username, password }: Extract<GitFault, { kind: 'credentials' }>,
): boolean {
  const expected = Buffer.from(`${username}:${password}`).toString('base64');
  return isEqualInConstantTime(`Basic ${expected}`, headers.authorization ?? '');
}
