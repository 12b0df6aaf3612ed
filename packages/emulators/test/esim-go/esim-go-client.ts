import { expect } from '@jest/globals';
import {
  type ESIMGoDataPlan,
  type EsimGoServer,
  type EsimGoServerOptions,
  createEsimGoServer,
} from '../../src/esim-go.ts';
import { parseBody } from './fixtures.ts';

/** A response as a test compares it. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** As JSON, or as text where it is none. */
  readonly body: unknown;
}

/** A page in the envelope of an object. */
export interface Page {
  readonly bundles: readonly ESIMGoDataPlan[];
  readonly pageCount: number;
  readonly rows: number;
  readonly pageSize: number;
}

/** A server, and requests to it with its key. */
export interface OpenEsimGo {
  readonly server: EsimGoServer;
  /** @param path below the base URL. */
  readonly get: (path: string, init?: RequestInit) => Promise<Answer>;
  /** A page of the list. @param query without `?`. */
  readonly page: (query: string) => Promise<Page>;
}

/** Runs `work` against a new server, without a rate limit unless given; it is always closed. */
export async function withEsimGo(
  options: EsimGoServerOptions,
  work: (open: OpenEsimGo) => Promise<void>,
): Promise<void> {
  const server = await createEsimGoServer({ rateLimit: false, rows: 1_000, ...options });
  const get: OpenEsimGo['get'] = async (path, init) => {
    const headers = { 'x-api-key': server.apiKey };
    const response = await fetch(server.baseUrl + path, { headers, ...init });
    const { status } = response;
    return { status, headers: response.headers, body: parseBody(await response.text()) };
  };
  try {
    await work({
      server,
      get,
      async page(query) {
        const { status, body } = await get(`/catalogue?${query}`);
        expect(status).toBe(200);
        return asPage(body);
      },
    });
  } finally {
    await server.close();
  }
}

function asPage(body: unknown): Page {
  if (isPage(body)) return body;
  throw new TypeError(`not a page: ${JSON.stringify(body)}`);
}

function isPage(body: unknown): body is Page {
  return typeof body === 'object' && body !== null && 'bundles' in body && 'rows' in body;
}

export function namesOf({ bundles }: Page): readonly string[] {
  return bundles.map(({ name }) => name);
}
