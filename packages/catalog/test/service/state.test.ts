import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { createCatalogService } from '@holdfast/catalog/service';
import { InvalidOptionError } from '@holdfast/foundation';
import { parseQuery } from '../../src/search/query/parse-query.ts';
import { openApiDocument } from '../../src/service/openapi.ts';
import { type Answer, type Fixture, NoTierError, openFixture } from './fixture.ts';

const STALE = { source: 'backup', generation: 3, ageMs: 9, stale: true, complete: false } as const;
const SYNC = {
  phase: 'fetching',
  pages: 3,
  reusedPages: 1,
  rows: 150,
  expectedRows: 5_148,
} as const;

let fixture: Fixture;
beforeEach(() => {
  fixture = openFixture();
});
afterEach(() => fixture.service.close());

describe('health', () => {
  test('is pass while what is served is fresh and complete', async () => {
    const { status, headers, body } = await fixture.get('/health/ready');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('application/health+json');
    expect(body).toEqual({ status: 'pass', notes: [] });
  });

  test('is warn, and ready, while it is stale or incomplete', async () => {
    fixture.catalog.origin = STALE;
    const { status, headers, body } = await fixture.get('/health/ready');
    expect(status).toBe(200);
    expect(headers['warning']).toContain('110');
    expect(body).toEqual({
      status: 'warn',
      notes: [expect.stringContaining('older'), expect.stringContaining('earlier')],
    });
  });

  test('is warn, and ready, while syncs fail, and names the error', async () => {
    fixture.catalog.fault = { error: new NoTierError(), atEpochMs: 5 };
    const warned = { notes: ['the last sync failed: CATALOG_UNAVAILABLE'] };
    const { status, body } = await fixture.get('/health/ready');
    expect([status, body]).toEqual([200, { status: 'warn', ...warned }]);
    expect((await fixture.get('/status')).body).toMatchObject({ health: 'warn', ...warned });
  });

  test('is a 503 with Retry-After while nothing is served, and the process is alive', async () => {
    fixture.catalog.origin = undefined;
    const { status, headers, body } = await fixture.get('/health/ready');
    expect([status, headers['retry-after']]).toEqual([503, '5']);
    expect(body).toMatchObject({ status: 'fail' });
    await expect(fixture.get('/health/live')).resolves.toMatchObject({
      status: 200,
      body: { status: 'pass' },
    });
  });
});

describe('the status', () => {
  test('has the sync that runs, the error of the last one, and what did not answer', async () => {
    fixture.catalog.origin = STALE;
    fixture.catalog.state = {
      sync: SYNC,
      lastSync: { atEpochMs: 5, durationMs: 7, error: new NoTierError() },
      attempts: [{ tier: 'api', cause: new Error('postgres://me:secret@host/db'), ms: 2 }],
    };
    const { status, headers, body, text } = await fixture.get('/status');
    expect([status, headers['x-catalog-source']]).toEqual([200, 'backup']);
    expect(body).toMatchObject({
      health: 'warn',
      origin: STALE,
      manifest: null,
      sync: SYNC,
      lastSync: { atEpochMs: 5, durationMs: 7, error: { code: 'CATALOG_UNAVAILABLE' } },
      attempts: [{ tier: 'api', ms: 2 }],
    });
    expect(text).not.toContain('secret');
  });

  test('is there while nothing else is', async () => {
    fixture.catalog.origin = undefined;
    const { status, body } = await fixture.get('/status');
    expect(status).toBe(200);
    expect(body).toMatchObject({ health: 'fail', origin: null, sync: null, lastSync: null });
  });
});

describe('metrics', () => {
  test('count answers by tier, requests by result, and say what is served', async () => {
    await fixture.get('/bundles');
    fixture.catalog.origin = STALE;
    await fixture.get('/bundles');
    await fixture.get('/bundles?limit=x');
    fixture.catalog.failure = new NoTierError();
    await fixture.get('/bundles');
    const { status, text, headers } = await fixture.get('/metrics');
    expect([status, headers['content-type']]).toEqual([200, expect.stringContaining('text/plain')]);
    for (const line of [
      'catalog_generation 3',
      'catalog_stale 1',
      'catalog_ready 1',
      'catalog_answers_total{result="memory"} 1',
      'catalog_answers_total{result="backup"} 1',
      'catalog_stale_answers_total 1',
      'catalog_http_requests_total{result="ok"} 2',
      'catalog_http_requests_total{result="refused"} 1',
      'catalog_http_requests_total{result="unavailable"} 1',
      'catalog_http_request_duration_seconds_count 4',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  test('are written with those of a registry of the caller, and leave it at the end', async () => {
    const registry = new Registry();
    const { catalog } = fixture;
    const service = createCatalogService({ catalog, registry });
    expect(registry.getSingleMetric('catalog_generation')).toBeDefined();
    expect(() => createCatalogService({ catalog, registry })).toThrow('catalog_generation');
    await service.close();
    expect(registry.getSingleMetric('catalog_generation')).toBeUndefined();
  });
});

describe('the OpenAPI document', () => {
  const paths = Object.keys(Object(openApiDocument['paths']));

  test('is served, and has the addresses of the service and no other', async () => {
    const { body } = await fixture.get('/openapi.json');
    expect(body).toEqual(JSON.parse(JSON.stringify(openApiDocument)));
    const { app } = fixture.service;
    const urls = paths.map((path) => path.replaceAll(/\{(\w+)\}/g, ':$1'));
    expect(urls.filter((url) => !app.hasRoute({ method: 'GET', url }))).toEqual([]);
    expect([...app.printRoutes().matchAll(/ \(GET/g)]).toHaveLength(urls.length);
  });

  test('has the filters of a search and no other', async () => {
    const document = JSON.parse(JSON.stringify(openApiDocument));
    const names = document.paths['/bundles'].get.parameters.map(
      ({ name }: { name: string }) => name,
    );
    expect(names).toEqual(Object.keys(parseQuery({})));
  });

  test('describes what is answered', async () => {
    const [name = ''] = (await namesOf(fixture)) ?? [];
    const check = async (path: string, url: string): Promise<void> => {
      const answer = await fixture.get(url);
      expect(violations(path, answer)).toEqual([]);
    };
    const all = async (): Promise<void> => {
      await check('/', '/');
      await check('/bundles', '/bundles?facets=group');
      await check('/bundles', '/bundles?limit=x');
      await check('/bundles/{name}', `/bundles/${name}`);
      await check('/bundles/{name}', '/bundles/none');
      await check('/status', '/status');
      await check('/health/live', '/health/live');
      await check('/health/ready', '/health/ready');
      await check('/metrics', '/metrics');
      await check('/openapi.json', '/openapi.json');
    };
    await all();
    fixture.catalog.state = {
      sync: SYNC,
      lastSync: { atEpochMs: 5, durationMs: 7, error: new NoTierError() },
      attempts: [{ tier: 'api', cause: 'late', ms: 2 }],
    };
    await all();
    fixture.catalog.failure = new NoTierError();
    fixture.catalog.origin = undefined;
    await all();
  });
});

async function namesOf({ get }: Fixture): Promise<string[]> {
  const { body } = await get('/bundles');
  return JSON.parse(JSON.stringify(body)).bundles.map(({ name }: { name: string }) => name);
}

/** How the answer is not what the document says of the address. */
function violations(path: string, { status, headers, body }: Answer): string[] {
  const document = JSON.parse(JSON.stringify(openApiDocument));
  const response = document.paths[path].get.responses[status];
  if (response === undefined) return [`${path}: no ${status}`];
  const type = String(headers['content-type']).split(';')[0] ?? '';
  const content = response.content[type];
  if (content === undefined) return [`${path}: no ${type} at ${status}`];
  return body === undefined ? [] : mismatches(content.schema, body, path);
}

/** As far as the document uses JSON Schema. */
function mismatches(schema: any, value: any, at: string): string[] {
  if (schema.$ref !== undefined) {
    const schemas = JSON.parse(JSON.stringify(openApiDocument)).components.schemas;
    return mismatches(schemas[schema.$ref.split('/').at(-1)], value, at);
  }
  if (schema.anyOf !== undefined) {
    const tries = schema.anyOf.map((each: unknown) => mismatches(each, value, at));
    return tries.some((found: string[]) => found.length === 0) ? [] : tries.flat();
  }
  if (schema.enum !== undefined) return schema.enum.includes(value) ? [] : [`${at}: ${value}`];
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const wanted = schema.type === 'integer' && Number.isInteger(value) ? 'number' : schema.type;
  if (type !== wanted) return [`${at}: ${type} instead of ${wanted}`];
  if (type === 'array') {
    return value.flatMap((item: unknown, index: number) =>
      mismatches(schema.items, item, `${at}.${index}`),
    );
  }
  if (type !== 'object') return [];
  const missing = (schema.required ?? []).filter((key: string) => !(key in value));
  const rest = Object.keys(value).flatMap((key) => {
    const known = schema.properties?.[key] ?? schema.additionalProperties;
    return known === undefined ? [] : mismatches(known, value[key], `${at}.${key}`);
  });
  return [...missing.map((key: string) => `${at}: no ${key}`), ...rest];
}

test.each([
  ['catalog', {}],
  ['requestTimeoutMs', { requestTimeoutMs: 0 }],
  ['maxEventClients', { maxEventClients: 1.5 }],
  ['registry', { registry: {} }],
  ['port', { port: 80 }],
])('the option %s is checked', (field, options) => {
  const { catalog } = fixture;
  const given: any = field === 'catalog' ? options : { catalog, ...options };
  expect(() => createCatalogService(given)).toThrow(InvalidOptionError);
  expect(() => createCatalogService(given)).toThrow(field);
});
