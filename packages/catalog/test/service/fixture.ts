import {
  type CatalogService,
  type CatalogServiceOptions,
  createCatalogService,
} from '@holdfast/catalog/service';
import { HoldfastError } from '@holdfast/foundation';
import { realisticBundles } from '../search/bundles.ts';
import { type FakeCatalog, createFakeCatalog } from './fake-catalog.ts';

export const BUNDLES = realisticBundles(300, 1);

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** Parsed, where it is JSON. */
  readonly body: unknown;
}

export interface Fixture {
  readonly catalog: FakeCatalog;
  readonly service: CatalogService;
  readonly get: (path: string) => Promise<Answer>;
  readonly send: (method: string, path: string, body?: string) => Promise<Answer>;
}

export function openFixture(
  options: Partial<CatalogServiceOptions> = {},
  bundles: typeof BUNDLES = BUNDLES,
): Fixture {
  const catalog = createFakeCatalog(bundles);
  const service = createCatalogService({ catalog, ...options });
  let listening: Promise<string> | undefined;
  // Over a socket: Jest on Node 22 cannot load what Fastify's `inject` requires.
  const send: Fixture['send'] = async (method, path, sent) => {
    listening ??= service.listen();
    const response = await fetch((await listening) + path, {
      method,
      ...(sent === undefined ? {} : { body: sent }),
    });
    const text = await response.text();
    const headers = Object.fromEntries(response.headers);
    const isJson = headers['content-type']?.includes('json') === true;
    const body: unknown = isJson ? JSON.parse(text) : undefined;
    return { status: response.status, headers, text, body };
  };
  return { catalog, service, send, get: (path) => send('GET', path) };
}

/** When no tier has an answer. */
export class NoTierError extends HoldfastError {
  readonly code = 'CATALOG_UNAVAILABLE';
  readonly attempts = [
    { tier: 'api', cause: new Error('the key is refused'), ms: 3 },
    { tier: 'cache', cause: new Error('redis://user:secret@host:6379 is down'), ms: 100 },
  ];

  constructor() {
    super('catalog: no tier has an answer');
  }
}
