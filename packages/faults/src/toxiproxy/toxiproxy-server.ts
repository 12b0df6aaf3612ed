import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type ResolvedOptions, boolean, integer, parseOptions, string } from '@holdfast/foundation';
import { listenOn, urlOf } from '../proxy/addresses.ts';
import {
  type ApiFailure,
  badRequest,
  proxyAlreadyExists,
  proxyNotFound,
  toxicNotFound,
} from './api-failure.ts';
import type { Toxic } from './toxic.ts';
import {
  type ManagedProxy,
  type ProxyDescription,
  openManagedProxy,
  parseDescription,
} from './managed-proxy.ts';
import { METRICS_TYPE, metricsOf } from './metrics.ts';

/** Options of `createToxiproxyServer`. */
export interface ToxiproxyServerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 8474, as Toxiproxy; 0 takes a free one. */
  port?: number;
  /** The seed of every proxy. Default 1. */
  seed?: number;
  /** Allows upstreams that are not this machine. Default false. */
  allowRemote?: boolean;
  /** The maximum number of proxies. Default 1 000. */
  maxProxies?: number;
}

/** Fault proxies controlled over Toxiproxy's HTTP API, by its clients in any language. */
export interface ToxiproxyServer {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The version of Toxiproxy whose API this is. */
const VERSION = '2.12.0';
const MAX_BODY_BYTES = 1_048_576;

const shape = {
  host: string({ maxLength: 253, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 8_474 }),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  allowRemote: boolean(false),
  maxProxies: integer({ min: 1, max: 100_000, default: 1_000 }),
};

/** A status and the body, sent as JSON unless it is text. */
interface ApiResponse {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
}

/**
 * The HTTP API of Toxiproxy over proxies of this package, for its clients in any language.
 * @throws InvalidOptionError, ProxyListenError
 */
export async function createToxiproxyServer(
  given?: ToxiproxyServerOptions,
): Promise<ToxiproxyServer> {
  const options = parseOptions('createToxiproxyServer', shape, given);
  const api = new ToxiproxyApi(options);
  /** Requests run one after the other, so that no two change the same proxy at a time. */
  let last: Promise<unknown> = Promise.resolve();
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    // Twenty digits of base 32, as Toxiproxy's; its last one has a single bit.
    response.setHeader('x-toxiproxy-request-id', `${requests.toString(32).padStart(19, '0')}0`);
    const handled = last.then(() => handle(request, response, api));
    last = handled.catch(() => response.destroy());
  });
  const { host } = options;
  const { port } = await listenOn(server, options);
  let closing: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await Promise.all([closed, last]);
    await api.close();
  };
  const close = (): Promise<void> => (closing ??= closeAll());
  return { host, port, url: urlOf(host, port), close, [Symbol.asyncDispose]: close };
}

/** The proxies of a server, and the operations of Toxiproxy's API on them. */
class ToxiproxyApi {
  readonly #options: ResolvedOptions<typeof shape>;
  readonly #proxies = new Map<string, ManagedProxy>();

  constructor(options: ResolvedOptions<typeof shape>) {
    this.#options = options;
  }

  async respond(method: string, path: string, body: string): Promise<ApiResponse> {
    const parts = decodedParts(path);
    if (parts === undefined) return { status: 400 };
    const [root = '', name, toxics, toxic, ...rest] = parts;
    const allowed = allowedMethods(root, name, toxics, toxic, rest.length);
    if (allowed === undefined) return { status: 404 };
    if (!allowed.includes(method)) return { status: 405 };
    const fields = parseJson(body);
    const needsBody = (method === 'POST' || method === 'PATCH') && root !== 'reset';
    if (needsBody && fields === undefined) return failed(badRequest('not JSON'));
    if (root === 'version') return { status: 200, body: { version: VERSION } };
    if (root === 'metrics') return { status: 200, text: metricsOf(this.#proxies) };
    if (root === 'populate') return this.#populate(fields);
    if (root === 'reset') {
      for (const proxy of this.#proxies.values()) {
        const failure = await proxy.reset();
        if (failure !== undefined) return failed(failure);
      }
      return { status: 204 };
    }
    if (name === undefined) return method === 'POST' ? this.#create(fields) : this.#list();
    const proxy = this.#proxies.get(name);
    if (proxy === undefined) return failed(proxyNotFound);
    if (toxics === undefined) return this.#onProxy(proxy, name, method, fields);
    return toxic === undefined
      ? onToxics(proxy, method, fields)
      : onToxic(proxy, toxic, method, fields);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }

  #list(): ApiResponse {
    const all = [...this.#proxies].map(([name, proxy]) => [name, proxy.describe()] as const);
    return { status: 200, body: Object.fromEntries(all) };
  }

  async #create(fields: unknown): Promise<ApiResponse> {
    const proxy = await this.#add(fields);
    return 'error' in proxy ? failed(proxy) : { status: 201, body: proxy.describe() };
  }

  async #add(fields: unknown): Promise<ManagedProxy | ApiFailure> {
    const { maxProxies } = this.#options;
    const description = parseDescription(fields);
    if ('error' in description) return description;
    if (this.#proxies.has(description.name)) return proxyAlreadyExists;
    if (this.#proxies.size >= maxProxies)
      return { error: `over ${maxProxies} proxies`, status: 500 };
    const proxy = await openManagedProxy(description, this.#options);
    if (!('error' in proxy)) this.#proxies.set(description.name, proxy);
    return proxy;
  }

  /** Creates the proxies of a list, or replaces those with other addresses; stops at the first failure. */
  async #populate(list: unknown): Promise<ApiResponse> {
    if (!Array.isArray(list))
      return { status: 400, body: { ...badRequest('not a list'), proxies: null } };
    const descriptions: ProxyDescription[] = [];
    for (const [index, fields] of list.entries()) {
      const description = parseDescription(fields, undefined, ` at proxy ${index + 1}`);
      if ('error' in description) return { status: 400, body: { ...description, proxies: null } };
      descriptions.push(description);
    }
    const proxies: unknown[] = [];
    for (const description of descriptions) {
      const proxy = await this.#addOrReplace(description);
      if ('error' in proxy) return { status: proxy.status, body: { ...proxy, proxies } };
      proxies.push(proxy.describe());
    }
    return { status: 201, body: { proxies } };
  }

  /** A proxy with the same addresses stays as it is, with its toxics. */
  async #addOrReplace(description: ProxyDescription): Promise<ManagedProxy | ApiFailure> {
    const known = this.#proxies.get(description.name);
    if (known === undefined) return this.#add(description);
    if (await known.isAt(description)) return known;
    const failure = await known.update(description);
    if (failure !== undefined) return failure;
    await known.clearToxics();
    return known;
  }

  async #onProxy(
    proxy: ManagedProxy,
    name: string,
    method: string,
    fields: unknown,
  ): Promise<ApiResponse> {
    if (method === 'DELETE') {
      this.#proxies.delete(name);
      await proxy.close();
      return { status: 204 };
    }
    if (method !== 'GET') {
      const to = parseDescription(fields, proxy.describe());
      const failure = 'error' in to ? to : await proxy.update(to);
      if (failure !== undefined) return failed(failure);
    }
    return { status: 200, body: proxy.describe() };
  }
}

function onToxics(proxy: ManagedProxy, method: string, fields: unknown): ApiResponse {
  return method === 'GET'
    ? { status: 200, body: proxy.describe().toxics }
    : succeeded(proxy.addToxic(fields));
}

async function onToxic(
  proxy: ManagedProxy,
  name: string,
  method: string,
  fields: unknown,
): Promise<ApiResponse> {
  if (method === 'GET') return succeeded(proxy.toxic(name) ?? toxicNotFound);
  if (method !== 'DELETE') return succeeded(proxy.updateToxic(name, fields));
  const failure = await proxy.removeToxic(name);
  return failure === undefined ? { status: 204 } : failed(failure);
}

/** Returns the methods of a path, or undefined for an unknown path. */
function allowedMethods(
  root: string,
  name: string | undefined,
  toxics: string | undefined,
  toxic: string | undefined,
  more: number,
): readonly string[] | undefined {
  if (name === undefined) {
    if (root === 'version' || root === 'metrics') return ['GET'];
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
  api: ToxiproxyApi,
): Promise<void> {
  // As in Toxiproxy: a page in a browser must not control what listens on this machine.
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
  const { status, body, text } =
    bytes > MAX_BODY_BYTES
      ? failed(badRequest(`over ${MAX_BODY_BYTES} bytes`))
      : await api.respond(request.method ?? 'GET', path, Buffer.concat(chunks).toString());
  if (status === 404 && body === undefined) response.writeHead(404).end('404 page not found\n');
  else if (text !== undefined)
    response.writeHead(status, { 'content-type': METRICS_TYPE }).end(text);
  else if (body === undefined) response.writeHead(status).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function succeeded(result: Toxic | ApiFailure): ApiResponse {
  return 'error' in result ? failed(result) : { status: 200, body: result };
}

function failed(failure: ApiFailure): ApiResponse {
  return { status: failure.status, body: failure };
}

/** Returns the parts of a path, or undefined when an escape in it is malformed. */
function decodedParts(path: string): string[] | undefined {
  try {
    return path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
