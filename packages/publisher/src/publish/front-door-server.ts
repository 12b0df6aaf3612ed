import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { integer, string, parseOptions } from '@holdfast/foundation';
import { type FrontDoorOptions, createFrontDoor } from './front-door.ts';

/** Options of `serveSite`. */
export interface SiteServerOptions extends FrontDoorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
}

/** A site that is served by its pointer. */
export interface SiteServer extends AsyncDisposable {
  readonly url: string;
  /** Ends all connections. Idempotent. */
  close(): Promise<void>;
}

const COOKIE = 'holdfast-release';
const listenSchema = {
  host: string({ maxLength: 255, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
};

/**
 * Serves a site over HTTP. A page sets a cookie with its release, by which the browser gets the files of that release
 * as long as the page is open, also after the next publish.
 * @throws InvalidOptionError; the system's own error when it cannot listen
 */
export async function serveSite({
  host,
  port,
  ...doorOptions
}: SiteServerOptions): Promise<SiteServer> {
  const listenAt = parseOptions('serveSite', listenSchema, { host, port });
  const door = createFrontDoor(doorOptions);
  const server = createServer((incoming, outgoing) => {
    const left = new AbortController();
    outgoing.once('close', () => left.abort(new Error('the visitor left')));
    respond(door, incoming, outgoing, left.signal).catch(() => void outgoing.destroy());
  });
  server.listen(listenAt);
  await once(server, 'listening');
  const address = server.address();
  const listening = typeof address === 'object' && address !== null ? address.port : listenAt.port;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { url: `http://${listenAt.host}:${listening}`, close, [Symbol.asyncDispose]: close };
}

async function respond(
  door: ReturnType<typeof createFrontDoor>,
  { method, url = '/', headers }: IncomingMessage,
  outgoing: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const path = pathOf(url);
  if ((method !== 'GET' && method !== 'HEAD') || path === undefined) {
    outgoing.writeHead(path === undefined ? 400 : 405).end();
    return;
  }
  const answer = await door.answer({
    path,
    release: releaseOf(headers.cookie),
    ifNoneMatch: headers['if-none-match'],
    signal,
  });
  const cookie = answer.isPage && {
    'set-cookie': `${COOKIE}=${answer.release}; Path=/; HttpOnly; SameSite=Lax`,
  };
  const length = answer.status === 304 ? {} : { 'content-length': String(answer.body.length) };
  outgoing.writeHead(answer.status, { ...answer.headers, ...cookie, ...length });
  outgoing.end(method === 'HEAD' ? undefined : answer.body);
}

function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(url.split('?', 1)[0] ?? '/');
    return path.split('/').includes('..') ? undefined : path;
  } catch {
    return undefined;
  }
}

function releaseOf(cookie: string | undefined): string | undefined {
  return new RegExp(`(?:^|; *)${COOKIE}=([0-9a-f]{64})(?:;|$)`).exec(cookie ?? '')?.[1];
}
