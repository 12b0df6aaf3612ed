import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { environment } from '@holdfast/foundation';

/** The environment of git, without the configuration of the machine and the user. */
export function gitEnvironment(home: string): Record<string, string> {
  return {
    PATH: environment['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
  };
}

const MAX_HEAD_BYTES = 65_536;

interface BackendOptions {
  /** The directory of all repositories. */
  readonly root: string;
  /** Added to the environment of git. */
  readonly variables: Readonly<Record<string, string>>;
  /** Aborts when the response is sent or the client disconnects. */
  readonly signal: AbortSignal;
}

/**
 * Forwards a request to `git http-backend` (CGI, RFC 3875) and its response to the client.
 * Variables: https://git-scm.com/docs/git-http-backend
 */
export async function runBackend(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { root, variables, signal }: BackendOptions,
): Promise<void> {
  const { method = 'GET', url = '/', headers } = incoming;
  const [path = '/', query = ''] = url.split('?', 2);
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...gitEnvironment(root),
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: method,
      PATH_INFO: decodeURIComponent(path),
      QUERY_STRING: query,
      CONTENT_TYPE: headers['content-type'] ?? '',
      CONTENT_LENGTH: headers['content-length'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      REMOTE_ADDR: incoming.socket.remoteAddress ?? '',
      ...variables,
    },
  });
  // When the client disconnects, its work ends.
  signal.addEventListener('abort', () => child.kill(), { once: true });
  // The backend may respond before it has read the whole body; then only the response counts.
  pipeline(incoming, child.stdin).catch(() => {});
  await once(child, 'spawn');
  let head = Buffer.alloc(0);
  let isBody = false;
  for await (const chunk of child.stdout) {
    const bytes = Buffer.from(chunk);
    if (isBody) {
      if (!outgoing.write(bytes)) await once(outgoing, 'drain', { signal });
      continue;
    }
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1 && head.length > MAX_HEAD_BYTES)
      throw new RangeError('the response headers of git are too long');
    if (end === -1) continue;
    isBody = true;
    const { status, headers: responseHeaders } = parseHead(head.toString('latin1', 0, end));
    outgoing.writeHead(status, responseHeaders);
    outgoing.write(head.subarray(end + 4));
  }
  if (!isBody) outgoing.writeHead(500);
  outgoing.end();
}

/** Parses lines of `Name: value`, of which `Status` is the status. */
export function parseHead(head: string): { status: number; headers: OutgoingHttpHeaders } {
  const headers: OutgoingHttpHeaders = {};
  let status = 200;
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'status') status = Number.parseInt(value, 10);
    else if (colon > 0) headers[name] = value;
  }
  return { status, headers };
}
