import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { StateBatchExtractor, type StateBatchExtractorOptions } from '@holdfast/atlas';
import { type PortalServer, createPortalServer, portalDistricts } from '@holdfast/emulators/atlas';
import { createFakeClock } from '@holdfast/foundation/testing';

let portal: PortalServer;
beforeEach(async () => {
  portal = await createPortalServer({ districts: 30 });
});
afterEach(() => portal.close());

const quick = { retry: { initialDelayMs: 1, maxDelayMs: 5 } };
const extractorOf = (options: StateBatchExtractorOptions = {}): StateBatchExtractor =>
  new StateBatchExtractor({
    endpoints: {
      WI: {
        congressional: portal.endpoint('WI', 'congressional'),
        state_house: portal.endpoint('WI', 'state_house'),
      },
    },
    ...quick,
    ...options,
  });

test('a layer of many pages is extracted whole, every feature once, whatever the size of a page', async () => {
  portal.configure({ districts: 30, maxRecordCount: 7 });
  const layer = await extractorOf({ pageSize: 20 }).extractLayer('WI', 'congressional');
  expect(layer.features.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, at) => at + 1));
  expect(layer).toMatchObject({
    success: true,
    featureCount: 30,
    pages: 5,
    duplicates: 0,
    rejected: {},
  });
});

test('features that are no districts are counted by their reasons, and the others are kept', async () => {
  portal.configure({ districts: 30, broken: 5, maxRecordCount: 10 });
  const layer = await extractorOf().extractLayer('WI', 'congressional');
  expect(layer.featureCount).toBe(24);
  expect(layer.rejected).toEqual({
    'no-geometry': 1,
    'open-ring': 2,
    'invalid-position': 2,
    'not-a-polygon': 1,
  });
});

test('rings as ArcGIS draws them are turned round', async () => {
  const layer = await extractorOf().extractLayer('WI', 'congressional');
  expect(layer.rewound).toBeGreaterThanOrEqual(30);
  const [sent] = portalDistricts('WI', 'congressional', { count: 30, seed: 1, broken: 0 });
  expect(layer.features[0]?.geometry).not.toEqual(sent?.geometry);
});

test('a feature that is sent on two pages is taken once', async () => {
  const all = portalDistricts('WI', 'congressional', { count: 6, seed: 1, broken: 0 });
  const pages = [all.slice(0, 4), all.slice(2, 6)];
  const fetch = async (url: string): Promise<Response> => {
    if (url.includes('returnCountOnly')) return Response.json({ count: 6 });
    const features = pages.shift();
    return Response.json({ features, properties: { exceededTransferLimit: pages.length > 0 } });
  };
  const layer = await extractorOf({ fetch }).extractLayer('WI', 'congressional');
  expect(layer).toMatchObject({ featureCount: 6, duplicates: 2 });
});

test('a layer with fewer features than the portal counts is not handed over', async () => {
  const fetch = async (url: string): Promise<Response> =>
    Response.json(url.includes('returnCountOnly') ? { count: 6 } : { features: [] });
  await expect(extractorOf({ fetch }).extractLayer('WI', 'congressional')).rejects.toMatchObject({
    code: 'ATLAS_LAYER_INCOMPLETE',
    retryable: true,
  });
});

test('an error document with the status 200 is an error, and a transient one is tried again', async () => {
  let calls = 0;
  const fetch = async (url: string): Promise<Response> => {
    calls += 1;
    if (calls === 1) return Response.json({ error: { code: 503, message: 'busy' } });
    return Response.json(url.includes('returnCountOnly') ? { count: 0 } : { features: [] });
  };
  const extractor = extractorOf({ fetch });
  expect(await extractor.extractLayer('WI', 'congressional')).toMatchObject({ featureCount: 0 });
  expect(calls).toBe(3);
  const refusing = extractorOf({ fetch: async () => Response.json({ error: { code: 499 } }) });
  await expect(refusing.extractLayer('WI', 'congressional')).rejects.toMatchObject({
    code: 'ATLAS_PORTAL_RESPONSE',
    status: 499,
  });
});

test.each(['html', 'truncated', 'empty-page'] as const)(
  'a portal that sends what is no page (%s) is given up after three attempts',
  async (fault) => {
    portal.setFault('WI/congressional', fault);
    const extracting = extractorOf().extractLayer('WI', 'congressional');
    await expect(extracting).rejects.toMatchObject({
      code: 'RESILIENCE_RETRY_EXHAUSTED',
      cause: { code: 'ATLAS_PORTAL_PAGE_INVALID' },
    });
  },
);

test('a portal that asks to wait is not asked before', async () => {
  const clock = createFakeClock();
  const asked: number[] = [];
  const fetch = async (): Promise<Response> => {
    asked.push(clock.now());
    if (asked.length > 1) return Response.json({ count: 0, features: [] });
    return new Response('later', { status: 429, headers: { 'retry-after': '7' } });
  };
  await clock.settle(extractorOf({ fetch, clock }).extractLayer('WI', 'congressional'));
  expect(asked).toHaveLength(3);
  expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThanOrEqual(7_000);
});

test('a portal that fails opens its own circuit, and the others are asked as before', async () => {
  portal.setFault('WI/congressional', 'unavailable');
  const extractor = extractorOf();
  await expect(extractor.extractLayer('WI', 'congressional')).rejects.toMatchObject({
    code: 'RESILIENCE_RETRY_EXHAUSTED',
  });
  const before = portal.getStats().requests;
  await expect(extractor.extractLayer('WI', 'congressional')).rejects.toMatchObject({
    code: 'RESILIENCE_CIRCUIT_OPEN',
  });
  expect(portal.getStats().requests).toBe(before);
  expect(await extractor.extractLayer('WI', 'state_house')).toMatchObject({ featureCount: 30 });
  const health = extractor.getHealthState();
  expect(health[portal.endpoint('WI', 'congressional')]?.level).toBe('critical');
  expect(health[portal.endpoint('WI', 'state_house')]?.level).toBe('healthy');
});

test('a portal that hangs is given up in time, and an abort ends the wait at once', async () => {
  portal.setFault('WI/congressional', 'hung');
  const extractor = extractorOf({ timeoutMs: 20, circuitBreaker: { failureThreshold: 100 } });
  await expect(extractor.extractLayer('WI', 'congressional')).rejects.toMatchObject({
    code: 'RESILIENCE_RETRY_EXHAUSTED',
  });
  const reason = new Error('enough');
  const signal = AbortSignal.abort(reason);
  await expect(extractorOf().extractLayer('WI', 'congressional', { signal })).rejects.toBe(reason);
});

test('more pages or bytes than permitted are refused, and an endpoint has to be known', async () => {
  portal.configure({ districts: 30, maxRecordCount: 5 });
  await expect(
    extractorOf({ maxPages: 3 }).extractLayer('WI', 'congressional'),
  ).rejects.toMatchObject({ code: 'ATLAS_LAYER_TOO_LARGE' });
  await expect(
    extractorOf({ maxPageBytes: 100, retry: { maxAttempts: 1 } }).extractLayer(
      'WI',
      'congressional',
    ),
  ).rejects.toMatchObject({ cause: { message: expect.stringContaining('100 bytes') } });
  await expect(extractorOf().extractLayer('MN', 'congressional')).rejects.toMatchObject({
    code: 'ATLAS_ENDPOINT_UNKNOWN',
  });
});
