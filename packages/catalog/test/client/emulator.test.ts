import { afterEach, describe, expect, test } from '@jest/globals';
import {
  type EsimGoFault,
  type EsimGoOptions,
  type EsimGoServer,
  createEsimGoServer,
} from '@holdfast/emulators/esim-go';
import {
  type CatalogClient,
  type CatalogClientOptions,
  CatalogUnauthorizedError,
  createCatalogClient,
} from '@holdfast/catalog';
import { type Clock, systemClock } from '@holdfast/foundation';
import { createResilientFetch } from '@holdfast/network';
import { collect } from './collect.ts';

/** Waits a hundredth of the time. */
const hurried: Clock = {
  ...systemClock,
  schedule: (delayMs, callback, options) =>
    systemClock.schedule(delayMs > 10_000 ? delayMs : delayMs / 100, callback, options),
};

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close();
});

async function open(
  api: EsimGoOptions,
  options: Partial<CatalogClientOptions> = {},
): Promise<{ server: EsimGoServer; client: CatalogClient }> {
  const server = await createEsimGoServer({ rateLimit: false, rows: 400, ...api });
  const client = createCatalogClient({
    apiKey: server.apiKey,
    baseUrl: server.baseUrl,
    fetch: (url, init) => fetch(url, init),
    ...options,
  });
  opened.push(server, client);
  return { server, client };
}

/** Bundles of all groups, each name once. */
async function count(client: CatalogClient): Promise<number> {
  const { names, failed } = await collect(client);
  expect(failed).toEqual({});
  return new Set(Object.values(names).flat()).size;
}

const envelopes = ['object', 'array'] as const;
const bases = [
  { firstPage: 0 },
  { firstPage: 1, belowFirstPage: 'reject' },
  { firstPage: 1, belowFirstPage: 'first' },
] as const;
const ceilings = ['reject', 'clamp', 'accept'] as const;
const orders = ['reject', 'ignore'] as const;

describe('the whole catalog is fetched, whatever the documents leave open', () => {
  test.each(
    envelopes.flatMap((envelope) =>
      bases.flatMap((base) =>
        ceilings.flatMap((overMaxPerPage) =>
          orders.map((unknownOrderBy) =>
            Object.assign({ envelope, overMaxPerPage, unknownOrderBy }, base),
          ),
        ),
      ),
    ),
  )('%j', async (api) => {
    const { server, client } = await open({ ...api, maxPerPage: 50 });
    expect(await count(client)).toBe(400);
    const { paging } = client.getStats();
    expect(paging?.firstPage).toBe(api.firstPage);
    expect(paging?.perPage).toBe(api.overMaxPerPage === 'reject' ? 50 : 1_000);
    // What was probed is remembered.
    const before = server.requests().length;
    expect(await count(client)).toBe(400);
    const refused = server
      .requests()
      .slice(before)
      .filter(({ status }) => status !== 200);
    expect(refused).toEqual([]);
  });
});

test.each(['absent', 'countries', 'codes', 'boolean'] as const)(
  'bundles are taken with roaming as %s',
  async (roaming) => {
    const { client } = await open({ roaming });
    expect(await count(client)).toBe(400);
  },
);

test('a ceiling that is lowered later is found again', async () => {
  const { server, client } = await open({ maxPerPage: 1_000 });
  expect(await count(client)).toBe(400);
  server.change({ maxPerPage: 50, overMaxPerPage: 'reject' });
  let alerts = 0;
  client.on('alert', () => (alerts += 1));
  expect(await count(client)).toBe(400);
  expect(client.getStats().paging?.perPage).toBe(50);
  expect(alerts).toBe(0);
});

test('a key that is revoked later is an alert, though a ceiling might be meant', async () => {
  const { server, client } = await open({ invalidKeyStatus: 401 });
  expect(await count(client)).toBe(400);
  const groups = ['Standard Fixed'];
  server.change({ apiKey: 'another' });
  let alerts = 0;
  client.on('alert', () => (alerts += 1));
  await expect(collect(client, { groups })).rejects.toBeInstanceOf(CatalogUnauthorizedError);
  expect(alerts).toBe(1);
});

test('the first page may move', async () => {
  const { server, client } = await open({ firstPage: 1, maxPerPage: 50 });
  expect(await count(client)).toBe(400);
  server.change({ firstPage: 0 });
  await collect(client);
  expect(await count(client)).toBe(400);
});

test.each<401 | 403>([401, 403])(
  'a wrong key is an error after one request (%i)',
  async (invalidKeyStatus) => {
    const { server, client } = await open({ invalidKeyStatus }, { apiKey: 'wrong' });
    await expect(collect(client)).rejects.toBeInstanceOf(CatalogUnauthorizedError);
    expect(server.requests()).toHaveLength(1);
  },
);

test('nothing is refused by the limit of a real server', async () => {
  const { server, client } = await open(
    { rateLimit: { requests: 10, windowMs: 250 }, maxPerPage: 25 },
    { perPage: [25] },
  );
  expect(await count(client)).toBe(400);
  expect(server.getStats().rateLimit.refused).toBe(0);
});

test('a tenth of all requests may fail, if they are tried again', async () => {
  const { server, client } = await open(
    { failureRate: 0.1, seed: 3, maxPerPage: 10 },
    { maxServerAttempts: 6, clock: hurried },
  );
  let failures = 0;
  client.on('server-error', () => (failures += 1));
  expect(await count(client)).toBe(400);
  expect(failures).toBeGreaterThan(0);
  expect(server.getStats().requests.catalogue).toBeGreaterThan(40);
});

test.each<[string, EsimGoFault, object]>([
  [
    'JSON that ends early',
    { kind: 'malformed', body: 'truncated' },
    { code: 'CATALOG_API_MALFORMED' },
  ],
  ['a page of a proxy', { kind: 'malformed', body: 'html' }, { code: 'CATALOG_API_MALFORMED' }],
  ['nothing', { kind: 'malformed', body: 'empty' }, { code: 'CATALOG_API_MALFORMED' }],
  ['a 500', { kind: 'status', status: 500 }, { code: 'CATALOG_API_UNAVAILABLE' }],
  ['a 503', { kind: 'status', status: 503, retryAfterS: 9 }, { retryAfterMs: 9_000 }],
  ['no price', { kind: 'damage', omit: ['price'] }, { code: 'CATALOG_ROWS_REJECTED' }],
  [
    'a wrong type',
    { kind: 'damage', set: { countries: 'all' } },
    { code: 'CATALOG_ROWS_REJECTED' },
  ],
  ['rows that move', { kind: 'drift', rows: 1 }, { code: 'CATALOG_GROUP_DRIFTED' }],
  ['one page again and again', { kind: 'page', page: 1 }, { reason: 'repeated-page' }],
  ['rows that do not come', { kind: 'counts', rows: 9_999 }, { reason: 'rows-missing' }],
  ['silence', { kind: 'silent' }, { code: 'CATALOG_API_TIMEOUT' }],
  ['resets', { kind: 'reset' }, { code: 'CATALOG_API_UNREACHABLE' }],
])(
  'a group that gets %s fails alone, and is fetched when that is over',
  async (_, fault, expected) => {
    const { server, client } = await open(
      { maxPerPage: 25 },
      { timeoutMs: fault.kind === 'silent' ? 2_000 : 30_000, maxAttempts: 1 },
    );
    const groups = await client.listGroups();
    await collect(client);
    const [group = ''] = groups;
    server.setFaults([{ operation: 'catalogue', group, fault }]);
    const { names, failed } = await collect(client);
    expect(failed).toEqual({ [group]: expect.objectContaining(expected) });
    expect(Object.keys(names)).toHaveLength(groups.length - 1);
    server.setFaults([]);
    const again = await collect(client, { groups: [group] });
    expect(again.failed).toEqual({});
    expect(again.names[group]?.length).toBeGreaterThan(0);
  },
);

test('a connection that is reset in the middle of a body is made again', async () => {
  const { server, client } = await open({});
  server.setFaults([
    { operation: 'catalogue', times: 2, fault: { kind: 'reset', when: 'during' } },
  ]);
  expect(await count(client)).toBe(400);
});

test.each(['resilient', 'platform'] as const)(
  'a redirect, which would carry the key, is not followed by the %s fetch',
  async (kind) => {
    const resilient = createResilientFetch({
      allowPrivate: ['127.0.0.1'],
      retry: { maxAttempts: 1 },
      circuitBreaker: false,
    });
    opened.push(resilient);
    const given = kind === 'resilient' ? { fetch: resilient } : {};
    const { server, client } = await open({}, { ...given, maxAttempts: 1 });
    expect(await count(client)).toBe(400);
    server.setFaults([
      { fault: { kind: 'response', status: 302, headers: { location: 'http://127.0.0.1:9/' } } },
    ]);
    const refused = client.listGroups();
    await expect(refused).rejects.toMatchObject({ code: 'CATALOG_API_REFUSED', status: 302 });
    await expect(refused).rejects.toThrow('a redirect to http://127.0.0.1:9/');
  },
);

test('without a fetch of its own it has one that refuses private addresses', async () => {
  const server = await createEsimGoServer({ rateLimit: false });
  const client = createCatalogClient({
    apiKey: server.apiKey,
    baseUrl: server.baseUrl,
    maxAttempts: 1,
  });
  opened.push(server, client);
  await expect(client.listGroups()).rejects.toMatchObject({ code: 'CATALOG_API_UNREACHABLE' });
});
