import { expect, test } from '@jest/globals';
import type { ESIMGoDataPlan } from '../../src/esim-go.ts';
import { namesOf, withEsimGo } from './esim-go-client.ts';
import { readCatalogFixture } from './fixtures.ts';

const group = 'Standard Fixed';
const inGroup = `group=${encodeURIComponent(group)}`;

test('the pages of the groups are all bundles, each once', async () => {
  await withEsimGo({ rows: 500 }, async ({ get, page }) => {
    const { body } = await get('/organisation/groups');
    expect(body).toMatchObject({
      groups: expect.arrayContaining([
        { name: group, desc: expect.anything(), priceListUrl: null, icon: null },
      ]),
    });
    const groups = [
      'Fixed',
      'Long Duration',
      'Unlimited Lite',
      'Unlimited Essential',
      'Unlimited Plus',
    ];
    const names: string[] = [];
    for (const each of groups.map((name) => `Standard ${name}`)) {
      const query = `group=${encodeURIComponent(each)}&perPage=20&orderBy=bundleName&direction=asc`;
      const first = await page(`${query}&page=1`);
      expect(first.pageCount).toBe(Math.ceil(first.rows / 20));
      for (let at = 1; at <= first.pageCount; at += 1) {
        const { bundles, rows, pageSize } = await page(`${query}&page=${at}`);
        expect([rows, pageSize]).toEqual([first.rows, 20]);
        expect(bundles.every((bundle) => bundle.groups.includes(each))).toBe(true);
        names.push(...bundles.map(({ name }) => name));
      }
      expect(await page(`${query}&page=${first.pageCount + 1}`)).toMatchObject({
        bundles: [],
        rows: first.rows,
      });
    }
    expect(new Set(names).size).toBe(500);
    expect(names.length).toBe(500);
  });
});

test('the list is a bare array where that is chosen', async () => {
  await withEsimGo({ envelope: 'array' }, async ({ get }) => {
    const { body } = await get(`/catalogue?${inGroup}&perPage=2`);
    expect(body).toEqual([
      expect.objectContaining({ groups: [group] }),
      expect.objectContaining({ groups: [group] }),
    ]);
    expect((await get('/catalogue?page=9999')).body).toEqual([]);
  });
});

test('the first page is 1 or 0, and one before it is refused or the first', async () => {
  await withEsimGo({ firstPage: 1 }, async ({ server, get, page }) => {
    expect(namesOf(await page(inGroup))).toEqual(namesOf(await page(`${inGroup}&page=1`)));
    expect(await get(`/catalogue?${inGroup}&page=0`)).toMatchObject({
      status: 400,
      body: { message: 'page must be at least 1' },
    });
    server.change({ belowFirstPage: 'first' });
    expect(namesOf(await page(`${inGroup}&page=0`))).toEqual(
      namesOf(await page(`${inGroup}&page=1`)),
    );
    const second = namesOf(await page(`${inGroup}&page=2`));
    server.change({ firstPage: 0 });
    expect(namesOf(await page(`${inGroup}&page=1`))).toEqual(second);
  });
});

test('more rows a page than there may be are refused with 401, fewer, or as many as asked', async () => {
  await withEsimGo({ maxPerPage: 50, overMaxPerPage: 'reject' }, async ({ server, get, page }) => {
    expect((await page('perPage=50')).bundles.length).toBe(50);
    expect(await get('/catalogue?perPage=51')).toMatchObject({
      status: 401,
      body: { message: 'perPage must be at most 50' },
    });
    server.change({ overMaxPerPage: 'clamp' });
    expect(await page('perPage=51')).toMatchObject({ pageSize: 50, pageCount: 20 });
    server.change({ overMaxPerPage: 'accept' });
    expect((await page('perPage=1000')).bundles.length).toBe(1_000);
  });
});

test.each([
  ['page=-1', 'page must be a whole number'],
  ['page=1.5', 'page must be a whole number'],
  ['page=', 'page must be a whole number'],
  ['page=1e3', 'page must be a whole number'],
  ['perPage=0', 'perPage must be at least 1'],
  ['perPage=ten', 'perPage must be a whole number'],
  ['direction=up', 'direction must be asc or desc'],
])('%s gets a 400 with a message', async (query, message) => {
  await withEsimGo({}, async ({ get }) => {
    expect(await get(`/catalogue?${query}`)).toMatchObject({ status: 400, body: { message } });
  });
});

test.each<[string, (bundle: ESIMGoDataPlan) => boolean]>([
  ['countries=AD', ({ countries }) => countries.some(({ iso }) => iso === 'AD')],
  ['countries=ad,FR', ({ countries }) => countries.some(({ iso }) => iso === 'AD' || iso === 'FR')],
  [
    'region=Middle%20East',
    ({ countries }) => countries.some(({ region }) => region === 'Middle East'),
  ],
  ['region=Oceania&countries=NZ', ({ countries }) => countries.some(({ iso }) => iso === 'NZ')],
  ['description=*30%20days*', ({ duration }) => duration === 30],
  ['description=global*v2', ({ description }) => /Global.*V2/.test(description)],
  [`${inGroup}&description=10GB`, ({ dataAmount }) => dataAmount === 10_000],
])('%s is answered with exactly the bundles that match', async (query, matches) => {
  await withEsimGo({ rows: 3_000 }, async ({ page }) => {
    const all = await page('perPage=5000');
    const wanted = all.bundles.filter(
      (bundle) => matches(bundle) && (!query.includes(inGroup) || bundle.groups.includes(group)),
    );
    expect(wanted.length).toBeGreaterThan(0);
    const got = await page(`${query}&perPage=5000`);
    expect(got.rows).toBe(wanted.length);
    expect(namesOf(got)).toEqual(wanted.map(({ name }) => name));
  });
});

test.each([
  'group=Nobody',
  'group=standard%20fixed',
  'countries=ZZ',
  'region=Atlantis',
  'description=%5B%28',
])('%s matches nothing, and is no error', async (query) => {
  await withEsimGo({}, async ({ page }) => {
    expect(await page(query)).toMatchObject({ bundles: [], pageCount: 0, rows: 0 });
  });
});

test.each<[string, (bundle: ESIMGoDataPlan) => string | number]>([
  ['bundleName', ({ name }) => name],
  ['description', ({ description }) => description],
  ['dataAmount', ({ dataAmount }) => dataAmount],
  ['duration', ({ duration }) => duration],
  ['price', ({ price }) => price],
  ['autostart', ({ autostart }) => Number(autostart)],
])('orderBy=%s sorts all pages, and desc is the reverse', async (field, keyOf) => {
  await withEsimGo({ rows: 4_000 }, async ({ page }) => {
    const query = `orderBy=${field}&perPage=2000`;
    const ascending = [
      ...(await page(`${query}&page=1`)).bundles,
      ...(await page(`${query}&page=2`)).bundles,
    ];
    const keys = ascending.map((bundle) => keyOf(bundle));
    expect(keys.length).toBe(4_000);
    expect(new Set(keys).size).toBeGreaterThan(1);
    expect(keys).toEqual(keys.toSorted((a, b) => (a < b ? -1 : Number(a > b))));
    const reversed = await page(`${query}&page=1&direction=desc`);
    expect(namesOf(reversed)).toEqual(
      ascending
        .slice(2_000)
        .map(({ name }) => name)
        .toReversed(),
    );
  });
});

test('an orderBy that is not known is ignored or refused', async () => {
  await withEsimGo({}, async ({ server, get, page }) => {
    expect(namesOf(await page('orderBy=__proto__'))).toEqual(namesOf(await page('')));
    server.change({ unknownOrderBy: 'reject' });
    expect(await get('/catalogue?orderBy=constructor')).toMatchObject({ status: 400 });
  });
});

test('every bundle is found by its name, and by no other', async () => {
  await withEsimGo({ rows: 3_600 }, async ({ get, page }) => {
    const { bundles } = await page('perPage=5000');
    for (const bundle of bundles.filter((_, at) => at % 240 === 0)) {
      expect(await get(`/catalogue/bundle/${bundle.name}`)).toMatchObject({
        status: 200,
        body: bundle,
      });
    }
    const { name = '' } = bundles[0] ?? {};
    const others = [
      name.toLowerCase(),
      `${name}0`,
      name.replace('_V', '_V0'),
      'esim_1GB_7D_AD_V1',
      'esim_1GB_8D_AD_V2',
      '__proto__',
      '%zz',
    ];
    for (const other of others) {
      expect(await get(`/catalogue/bundle/${other}`)).toMatchObject({
        status: 404,
        body: { message: 'Bundle not found' },
      });
    }
  });
});

test('a request without the key is refused with 403 or 401, whatever it asks for', async () => {
  await withEsimGo({ apiKey: 'secret' }, async ({ server, get }) => {
    for (const headers of [{}, { 'x-api-key': 'Secret' }]) {
      expect(await get('/catalogue', { headers })).toMatchObject({
        status: 403,
        body: { message: expect.any(String) },
      });
    }
    server.change({ invalidKeyStatus: 401 });
    expect(await get('/nowhere', { headers: {} })).toMatchObject({ status: 401 });
    expect(await get('/catalogue')).toMatchObject({ status: 200 });
  });
});

test('every version of the API has the same paths, and no others', async () => {
  await withEsimGo({}, async ({ server, get }) => {
    const headers = { 'x-api-key': server.apiKey };
    for (const version of ['', '/v2', '/v2.1', '/v2.4', '/v2.5']) {
      expect((await fetch(`${server.url}${version}/catalogue`, { headers })).status).toBe(200);
    }
    for (const path of ['/v2.6/catalogue', '/v1/catalogue', '/catalogue/', '/', '//[']) {
      const response = await fetch(server.url + path, { headers });
      expect([path, response.status]).toEqual([path, 404]);
    }
    expect(
      await get('/catalogue', { headers, method: 'POST', body: 'x'.repeat(200_000) }),
    ).toMatchObject({ status: 405 });
    expect(await get('/catalogue', { headers, method: 'HEAD' })).toMatchObject({
      status: 200,
      body: '',
    });
  });
});

test('given bundles are sent as they are, in their order', async () => {
  const bundles = [
    { name: 'b', groups: ['One', 'Two'], price: 2, countries: [{ iso: 'AD', region: 'Europe' }] },
    { name: 'a', groups: ['Two'], price: 10 },
    null,
    'text',
    { name: 'c', price: 'free', countries: null },
  ];
  await withEsimGo({ bundles }, async ({ server, get }) => {
    expect((await get('/catalogue')).body).toEqual({
      bundles,
      pageCount: 1,
      rows: 5,
      pageSize: 50,
    });
    expect((await get('/catalogue?group=Two&orderBy=name')).body).toMatchObject({
      bundles: [bundles[1], bundles[0]],
    });
    expect((await get('/catalogue?countries=AD')).body).toMatchObject({ bundles: [bundles[0]] });
    expect((await get('/catalogue/bundle/a')).body).toEqual(bundles[1]);
    expect((await get('/organisation/groups')).body).toMatchObject({
      groups: [{ name: 'One' }, { name: 'Two' }],
    });
    server.drift('Two', -1);
    expect((await get('/catalogue?group=Two')).body).toMatchObject({
      bundles: [bundles[1]],
      rows: 1,
    });
    server.drift('Two', 1);
    expect((await get('/catalogue?group=Two')).body).toMatchObject({ rows: 2 });
  });
});

test.each(['broken-bundles.json', 'hostile-bundles.json'])(
  '%s are sent as they are',
  async (file) => {
    const listed = readCatalogFixture(file);
    const entries: readonly { reason: string; bundle: unknown }[] = Array.isArray(listed)
      ? listed
      : [];
    expect(new Set(entries.map(({ reason }) => reason)).size).toBe(entries.length);
    const bundles = entries.map(({ bundle }) => bundle);
    await withEsimGo({ bundles }, async ({ get }) => {
      expect((await get('/catalogue?page=1&perPage=100')).body).toEqual({
        bundles,
        pageCount: 1,
        rows: entries.length,
        pageSize: 100,
      });
      const sorted = await get(
        '/catalogue?orderBy=price&direction=desc&countries=AD&region=Europe',
      );
      expect(sorted.status).toBe(200);
      const names = bundles.map((bundle) => fieldOf(bundle, 'name'));
      for (const [at, name] of names.entries()) {
        if (typeof name !== 'string' || name === '' || !name.isWellFormed()) continue;
        const answer = await get(`/catalogue/bundle/${encodeURIComponent(name)}`);
        expect(answer).toMatchObject({ status: 200, body: bundles[at] });
      }
    });
  },
);

test('of bundles with one name and different content, the first is found and all are listed', async () => {
  const listed = readCatalogFixture('duplicate-bundles.json');
  const bundles: readonly unknown[] = Array.isArray(listed) ? listed : [];
  await withEsimGo({ bundles }, async ({ get, page }) => {
    expect((await page('')).bundles).toEqual(bundles);
    expect(new Set(namesOf(await page(''))).size).toBe(1);
    const [name = ''] = namesOf(await page(''));
    expect((await get(`/catalogue/bundle/${name}`)).body).toEqual(bundles[0]);
  });
});

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
