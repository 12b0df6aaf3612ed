import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { HOSTILE, hostileBundles } from '../search/bundles.ts';
import { seededRandom } from '@holdfast/foundation';
import { BUNDLES, type Fixture, NoTierError, openFixture } from './fixture.ts';

const SECRET = 'secret';

let fixture: Fixture;
beforeEach(() => {
  fixture = openFixture();
});
afterEach(() => fixture.service.close());

describe('a search', () => {
  test('has the page, the exact total, the facets and where the answer is from', async () => {
    const { status, headers, body } = await fixture.get(
      '/bundles?unlimited=true&sort=duration&limit=3&offset=1&facets=region,unlimited',
    );
    const unlimited = BUNDLES.filter((bundle) => bundle.unlimited);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      age: '90',
      'x-catalog-source': 'memory',
      'x-catalog-generation': '7',
    });
    expect(headers['warning']).toBeUndefined();
    expect(body).toMatchObject({
      origin: { source: 'memory', generation: 7, stale: false, complete: true },
      total: unlimited.length,
      offset: 1,
      limit: 3,
      facets: { unlimited: [{ value: 'true', count: unlimited.length }] },
    });
    expect(body).toHaveProperty('bundles.length', 3);
    expect(body).not.toHaveProperty('bundles.0.document');
  });

  test('leads from page to page, each bundle once, and ends', async () => {
    const names: unknown[] = [];
    let url = '/bundles?limit=37&sort=name';
    for (let pages = 0; pages < 20; pages += 1) {
      const { headers, body } = await fixture.get(url);
      expect(body).toHaveProperty('bundles');
      if (typeof body === 'object' && body !== null && 'bundles' in body) {
        if (Array.isArray(body.bundles)) names.push(...body.bundles.map(({ name }) => name));
      }
      const next = /^<(\?[^>]+)>; rel="next"$/.exec(String(headers['link']))?.[1];
      if (next === undefined) break;
      url = `/bundles${next}`;
    }
    expect(names).toEqual(BUNDLES.map(({ name }) => name).toSorted());
  });

  test.each([
    ['unknown=1', 'unknown', '***', 'known'],
    ['minPrice=x', 'minPrice', 'x', 'a number from 0'],
    ['minPrice=-1', 'minPrice', '-1', 'a number from 0'],
    ['minPrice=1e3', 'minPrice', '1e3', 'a number from 0'],
    ['minPrice=2&maxPrice=1', 'minPrice', 2, 'at most maxPrice'],
    ['limit=1001', 'limit', 1_001, '0 to 1000'],
    ['limit=', 'limit', '', '0 to 1000'],
    ['country=DE&country=FR', 'country', 'FR', 'given once'],
    ['facets=price', 'facets', 'price', 'country'],
    ['unlimited=yes', 'unlimited', 'yes', 'true or false'],
    ['__proto__=1', '__proto__', '***', 'known'],
    [`text=${'x'.repeat(201)}`, 'text', 'x'.repeat(100), '200 characters'],
  ])('with %.40s is a problem with the filter, the value and what is permitted', async (...row) => {
    const [query, filter, value, permitted] = row;
    const { status, headers, body } = await fixture.get(`/bundles?${query}`);
    expect(status).toBe(400);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(body).toMatchObject({
      title: 'Bad Request',
      code: 'CATALOG_QUERY_INVALID',
      filter,
      permitted: expect.stringContaining(permitted),
    });
    expect(body).toHaveProperty('value', value);
  });

  test('that is stale or incomplete says so in body and headers', async () => {
    fixture.catalog.origin = {
      source: 'backup',
      generation: 3,
      ageMs: 4_000_000_000,
      stale: true,
      complete: false,
    };
    const { status, headers, body } = await fixture.get('/bundles');
    expect(status).toBe(200);
    expect(body).toMatchObject({ origin: { source: 'backup', stale: true, complete: false } });
    expect(headers).toMatchObject({ age: '4000000', 'x-catalog-source': 'backup' });
    expect(headers['warning']).toMatch(/^110 - ".+", 199 - ".+"$/);
  });

  test('that no tier can answer is a 503 with what was tried, and when to ask again', async () => {
    fixture.catalog.failure = new NoTierError();
    const { status, headers, body, text } = await fixture.get('/bundles');
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('5');
    expect(body).toMatchObject({
      code: 'CATALOG_UNAVAILABLE',
      attempts: [
        { tier: 'api', cause: 'the key is refused', ms: 3 },
        { tier: 'cache', ms: 100 },
      ],
    });
    expect(text).not.toContain(SECRET);
  });

  test('that fails unexpectedly is a 500 that tells nothing of the inside', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    fixture.catalog.failure = new Error(`password ${SECRET}`);
    const { status, text } = await fixture.get('/bundles');
    expect(status).toBe(500);
    expect(text).not.toContain(SECRET);
    expect(emitWarning).toHaveBeenCalledWith(fixture.catalog.failure);
    emitWarning.mockRestore();
  });
});

describe('a bundle', () => {
  test('is found by its name, with the document as the API sent it', async () => {
    const [bundle] = BUNDLES;
    const { status, headers, body } = await fixture.get(`/bundles/${bundle?.name ?? ''}`);
    expect(status).toBe(200);
    expect(headers['x-catalog-generation']).toBe('7');
    expect(body).toMatchObject({ origin: { generation: 7 }, bundle: { ...bundle } });
  });

  test('that is not there is a 404 of a generation', async () => {
    const { status, headers, body } = await fixture.get('/bundles/esim_none');
    expect(status).toBe(404);
    expect(headers['x-catalog-generation']).toBe('7');
    expect(body).toMatchObject({ code: 'CATALOG_BUNDLE_UNKNOWN' });
  });

  test('is found whatever is in its name', async () => {
    const named = HOSTILE.filter((name) => name.isWellFormed());
    const bundles = hostileBundles(named.length, seededRandom(1)).map((bundle, at) =>
      Object.assign(bundle, { name: named[at] }),
    );
    const { service, get } = openFixture({}, bundles);
    for (const { name } of bundles) {
      const { status, body } = await get(`/bundles/${encodeURIComponent(name)}`);
      expect([name, status]).toEqual([name, 200]);
      expect(body).toHaveProperty('bundle.name', name);
    }
    await service.close();
  });

  test.each([
    ['a broken escape', '/bundles/%zz'],
    ['a name over all bounds', `/bundles/${'x'.repeat(2_000)}`],
    ['an escape that ends early', '/bundles/%'],
    ['another address', '/nothing'],
  ])('cannot be asked for by %s: a problem', async (_by, url) => {
    const { status, headers } = await fixture.get(url);
    expect([400, 404, 414]).toContain(status);
    expect(headers['content-type']).toContain('application/problem+json');
  });
});

test.each(['POST', 'PUT', 'DELETE', 'PATCH'] as const)('%s is refused', async (method) => {
  const { status, headers } = await fixture.send(method, '/bundles');
  expect([status, headers['allow']]).toEqual([405, 'GET, HEAD']);
});

test('a large body is refused', async () => {
  const { status, headers } = await fixture.send('POST', '/bundles', 'x'.repeat(2_000));
  expect([status, headers['content-type']]).toEqual([
    413,
    expect.stringContaining('application/problem+json'),
  ]);
});

test('a catalog that does not answer in time is a 503, and its call is aborted', async () => {
  const clock = createFakeClock();
  const { catalog, get, service } = openFixture({ clock, requestTimeoutMs: 200 });
  catalog.isHeld = true;
  const answer = get('/bundles');
  while (catalog.signals.length === 0) await new Promise(setImmediate);
  await clock.advance(199);
  expect(catalog.signals[0]?.aborted).toBe(false);
  await clock.advance(1);
  await expect(answer).resolves.toMatchObject({
    status: 503,
    body: { code: 'CATALOG_REQUEST_TIMEOUT' },
  });
  expect(catalog.signals[0]?.aborted).toBe(true);
  await service.close();
});
