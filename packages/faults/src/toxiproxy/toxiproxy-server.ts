import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { boolean, integer, parseOptions, string } from '@holdfast/foundation';
import { ProxyListenError } from '../errors.ts';
import {
  type ApiFailure,
  badRequest,
  proxyAlreadyExists,
  proxyNotFound,
  toxicNotFound,
} from './api-failure.ts';
import type { Toxic } from './toxic.ts';
import { type ManagedProxy, openManagedProxy, parseDescription } from './managed-proxy.ts';

export interface ToxiproxyServerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 8474, as Toxiproxy; 0 takes a free one. */
  port?: number;
  /** Where the chance of every proxy begins. Default 1. */
  seed?: number;
  /** Upstreams that are not this machine are refused without it. Default false. */
  allowRemote?: boolean;
  /** Proxies at one time. Default 1 000. */
  maxProxies?: number;
}

/** Fault proxies that are driven over HTTP as Toxiproxy's are, by its clients in any language. */
export interface ToxiproxyServer {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a client is told: the version whose API this is. */
const VERSION = '2.12.0';
const MAX_BODY_BYTES = 1_048_576;

const shape = {
  host: string({ maxLength: 253, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 8_474 }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  allowRemote: boolean(false),
  maxProxies: integer({ min: 1, max: 100_000, default: 1_000 }),
};

/** A status and, with most of them, what is written as JSON. */
interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

/** @throws InvalidOptionError, ProxyListenError */
export async function createToxiproxyServer(
  options?: ToxiproxyServerOptions,
): Promise<ToxiproxyServer> {
  const { host, port, maxProxies, ...setting } = parseOptions(
    'createToxiproxyServer',
    shape,
    options,
  );
  const proxies = new Map<string, ManagedProxy>();

  const add = async (fields: unknown): Promise<ManagedProxy | ApiFailure> => {
    const description = parseDescription(fields);
    if ('error' in description) return description;
    if (proxies.has(description.name)) return proxyAlreadyExists;
    if (proxies.size >= maxProxies) return { error: `over ${maxProxies} proxies`, status: 500 };
    const proxy = await openManagedProxy(description, setting);
    if (!('error' in proxy)) proxies.set(description.name, proxy);
    return proxy;
  };
  const populate = async (list: unknown): Promise<Answer> => {
    if (!Array.isArray(list)) return failed(badRequest('not a list'));
    const read = list.map((fields: unknown) => parseDescription(fields));
    const bad = read.find((description) => 'error' in description);
    if (bad !== undefined && 'error' in bad) return failed(bad);
    const described: unknown[] = [];
    for (const description of read) {
      if ('error' in description) continue;
      const before = proxies.get(description.name);
      const made = before ?? (await add(description));
      const failure = 'error' in made ? made : await before?.update(description);
      if (failure !== undefined || 'error' in made) {
        return { status: failure?.status ?? 500, body: { ...failure, proxies: described } };
      }
      described.push(made.describe());
    }
    return { status: 201, body: { proxies: described } };
  };

  const onProxy = async (name: string, method: string, fields: unknown): Promise<Answer> => {
    const proxy = proxies.get(name);
    if (proxy === undefined) return failed(proxyNotFound);
    if (method === 'DELETE') {
      proxies.delete(name);
      await proxy.close();
      return { status: 204 };
    }
    if (method !== 'GET') {
      const to = parseDescription(fields, proxy.describe());
      const failure = 'error' in to ? to : await proxy.update(to);
      if (failure !== undefined) return failed(failure);
    }
    return { status: 200, body: proxy.describe() };
  };
  const onToxics = async (
    name: string,
    toxic: string | undefined,
    method: string,
    fields: unknown,
  ): Promise<Answer> => {
    const proxy = proxies.get(name);
    if (proxy === undefined) return failed(proxyNotFound);
    if (toxic === undefined) {
      return method === 'GET'
        ? { status: 200, body: proxy.describe().toxics }
        : answered(proxy.addToxic(fields));
    }
    if (method === 'GET') return answered(proxy.toxic(toxic) ?? toxicNotFound);
    if (method !== 'DELETE') return answered(proxy.updateToxic(toxic, fields));
    const failure = await proxy.removeToxic(toxic);
    return failure === undefined ? { status: 204 } : failed(failure);
  };

  const answer = async (method: string, path: string, body: string): Promise<Answer> => {
    const [, root = '', name, toxics, toxic, ...rest] = path.split('/').map(decodeURIComponent);
    const allowed = allowedMethods(root, name, toxics, toxic, rest.length);
    if (allowed === undefined) return { status: 404 };
    if (!allowed.includes(method)) return { status: 405 };
    const fields = parsed(body);
    const wantsBody = method === 'POST' || method === 'PATCH';
    if (wantsBody && root !== 'reset' && fields === undefined)
      return failed(badRequest('not JSON'));
    if (root === 'version') return { status: 200, body: { version: VERSION } };
    if (root === 'populate') return populate(fields);
    if (root === 'reset') {
      for (const proxy of proxies.values()) await proxy.reset();
      return { status: 204 };
    }
    if (name === undefined) {
      if (method === 'POST') {
        const made = await add(fields);
        return 'error' in made ? failed(made) : { status: 201, body: made.describe() };
      }
      const all = [...proxies].map(([known, proxy]) => [known, proxy.describe()] as const);
      return { status: 200, body: Object.fromEntries(all) };
    }
    return toxics === undefined
      ? onProxy(name, method, fields)
      : onToxics(name, toxic, method, fields);
  };

  /** One after the other, so that no two change the same proxy. */
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer((request, response) => {
    const handled = turn.then(() => handle(request, response, answer));
    turn = handled.catch(() => response.destroy());
  });
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new ProxyListenError(host, port, cause);
  }
  const address = server.address();
  const taken = typeof address === 'object' && address !== null ? address.port : port;

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll());
  const closeAll = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await Promise.all([closed, turn]);
    await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
  };
  const authority = host.includes(':') ? `[${host}]` : host;
  return {
    host,
    port: taken,
    url: `http://${authority}:${taken}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What a path can be asked by; undefined where there is nothing. */
function allowedMethods(
  root: string,
  name: string | undefined,
  toxics: string | undefined,
  toxic: string | undefined,
  more: number,
): readonly string[] | undefined {
  if (name === undefined) {
    if (root === 'version') return ['GET'];
    if (root === 'reset' || root === 'populate') return ['POST'];
    return root === 'proxies' ? ['GET', 'POST'] : undefined;
  }
  if (root !== 'proxies' || more > 0 || (toxics !== undefined && toxics !== 'toxics'))
    return undefined;
  return toxics !== undefined && toxic === undefined
    ? ['GET', 'POST']
    : ['GET', 'POST', 'PATCH', 'DELETE'];
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (method: string, path: string, body: string) => Promise<Answer>,
): Promise<void> {
  // As Toxiproxy: a page in a browser is not to drive what listens on this machine.
  if (request.headers['user-agent']?.startsWith('Mozilla/') === true) {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('User agent not allowed\n');
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) break;
  }
  const [path = '/'] = (request.url ?? '/').split('?');
  const { status, body } =
    bytes > MAX_BODY_BYTES
      ? failed(badRequest(`over ${MAX_BODY_BYTES} bytes`))
      : await answer(request.method ?? 'GET', path, Buffer.concat(chunks).toString());
  if (status === 404 && body === undefined) response.writeHead(404).end('404 page not found\n');
  else if (body === undefined) response.writeHead(status).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function answered(result: Toxic | ApiFailure): Answer {
  return 'error' in result ? failed(result) : { status: 200, body: result };
}

function failed(failure: ApiFailure): Answer {
  return { status: failure.status, body: failure };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
