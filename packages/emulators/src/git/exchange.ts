import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, sleep } from '@holdfast/foundation';
import type { RequestLog } from '../control/request-log.ts';
import { runBackend } from './cgi.ts';
import { REJECTION_VARIABLE } from './repositories.ts';
import type { GitFault, GitFaultKind, GitService } from './settings.ts';
import type { GitFaultCounter } from './fault-counter.ts';

/** One request as the remote has seen it; a push or a fetch makes two. */
export interface GitRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Absent for what is neither. */
  readonly service?: GitService;
  /** What it was answered with; absent while it is under way, or when the client did not wait. */
  readonly status?: number;
  /** The faults it was struck by. */
  readonly faults: readonly GitFaultKind[];
  /** When it came, in milliseconds since the Unix epoch, by the remote's own clock. */
  readonly atMs: number;
}

export interface GitExchangeDeps {
  readonly log: RequestLog<GitRequest>;
  readonly clock: Clock;
  /** The folder of all repositories. */
  readonly root: string;
  readonly rejectingHooks: string;
  readonly tally: GitFaultCounter;
}

/** Answers one request of a git client. Rejects when it goes away before. */
export async function handleGitRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { log, clock, root, rejectingHooks, tally }: GitExchangeDeps,
): Promise<void> {
  const { method = 'GET', url = '/' } = incoming;
  const service = serviceOf(url);
  const struck = tally.strike({ service, isDelivery: service === 'push' && method === 'POST' });
  const entry: { -readonly [Key in keyof GitRequest]: GitRequest[Key] } = {
    method,
    path: url,
    faults: struck.map(({ kind }) => kind),
    atMs: clock.epochMs(),
  };
  if (service !== undefined) entry.service = service;
  log.record(entry);
  outgoing.once('finish', () => void (entry.status = outgoing.statusCode));
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());

  const more: Record<string, string> = {};
  for (const fault of struck) {
    if (fault.kind === 'slow') await sleep(clock, fault.delayMs, gone.signal);
    if (fault.kind === 'status') return refuse(incoming, outgoing, fault.status, {});
    if (fault.kind === 'credentials' && !bringsThem(incoming, fault)) {
      return refuse(incoming, outgoing, 401, { 'www-authenticate': 'Basic realm="git"' });
    }
    if (fault.kind === 'rejectPush') {
      more['GIT_CONFIG_COUNT'] = '1';
      more['GIT_CONFIG_KEY_0'] = 'core.hooksPath';
      more['GIT_CONFIG_VALUE_0'] = rejectingHooks;
      more[REJECTION_VARIABLE] = fault.message ?? '';
    }
  }
  await runBackend(incoming, outgoing, { root, more, signal: gone.signal });
}

function refuse(
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

function bringsThem(
  { headers }: IncomingMessage,
  { username, password }: Extract<GitFault, { kind: 'credentials' }>,
): boolean {
  const wanted = Buffer.from(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`);
  const brought = Buffer.from(headers.authorization ?? '');
  return wanted.length === brought.length && timingSafeEqual(wanted, brought);
}
