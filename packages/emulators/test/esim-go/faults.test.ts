import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type EsimGoOptions, createEsimGoServer } from '../../src/esim-go.ts';
import { type OpenEsimGo, namesOf, withEsimGo } from './esim-go-client.ts';
import { connectionFailed } from './replay.ts';

const group = 'Standard Fixed';
const inGroup = `group=${encodeURIComponent(group)}&perPage=10`;

async function statuses({ get }: OpenEsimGo, paths: readonly string[]): Promise<readonly number[]> {
  const seen: number[] = [];
  for (const path of paths) seen.push((await get(path)).status);
  return seen;
}

test('a script of faults follows the requests it describes', async () => {
  const faults = [
    { operation: 'catalogue', group, page: 2, times: 2, fault: { kind: 'status', status: 502 } },
    { operation: 'catalogue', group, after: 1, times: 1, fault: { kind: 'status', status: 500 } },
    { operation: 'groups', fault: { kind: 'status', status: 503, retryAfterS: 7 } },
  ] as const;
  await withEsimGo({ faults }, async (open) => {
    const page = (at: number): string => `/catalogue?${inGroup}&page=${at}`;
    expect(await statuses(open, [page(1), page(2), page(2), page(2), page(2), page(1)])).toEqual([
      200, 502, 502, 500, 200, 200,
    ]);
    expect(
      await statuses(open, ['/catalogue', '/catalogue?group=Standard%20Unlimited%20Lite']),
    ).toEqual([200, 200]);
    const groups = await open.get('/organisation/groups');
    expect([groups.status, groups.headers.get('retry-after')]).toEqual([503, '7']);
    // The same rules once more count anew.
    open.server.setFaults(faults);
    expect(await statuses(open, [page(2), page(2), page(2)])).toEqual([502, 502, 200]);
    open.server.setFaults(({ page: asked }) =>
      asked === 3 ? { kind: 'status', status: 401, message: 'no' } : undefined,
    );
    expect(await statuses(open, [page(2), page(3)])).toEqual([200, 401]);
    open.server.setFaults([]);
    expect(await statuses(open, [page(3), '/organisation/groups'])).toEqual([200, 200]);
  });
});

test.each(['before', 'during'] as const)(
  'the connection is reset %s the response',
  async (when) => {
    await withEsimGo(
      { faults: [{ times: 1, fault: { kind: 'reset', when } }] },
      async ({ server, get }) => {
        await expect(get('/catalogue')).rejects.toThrow(connectionFailed);
        expect((await get('/catalogue')).status).toBe(200);
        expect(server.requests().map(({ status }) => status)).toEqual([
          when === 'before' ? 0 : 200,
          200,
        ]);
      },
    );
  },
);

test('a silent request is never answered, and ends with its client', async () => {
  await withEsimGo(
    { faults: [{ times: 1, fault: { kind: 'silent' } }] },
    async ({ server, get }) => {
      const left = new AbortController();
      const headers = { 'x-api-key': server.apiKey };
      const asked = get('/catalogue', { headers, signal: left.signal });
      // Later requests are answered meanwhile.
      while (server.requests().length === 0)
        expect((await get('/organisation/groups', { headers: {} })).status).toBeGreaterThan(0);
      left.abort();
      await expect(asked).rejects.toThrow(connectionFailed);
      expect((await get('/catalogue')).status).toBe(200);
    },
  );
});

test('a delay and the latency of all requests add up', async () => {
  const clock = createFakeClock();
  const faults = [{ times: 1, fault: { kind: 'slow', delayMs: 5_000 } as const }];
  await withEsimGo({ clock, latencyMs: 100, faults }, async ({ server, get }) => {
    const slow = get('/catalogue');
    const settled = { at: 0 };
    const noted = slow.then(() => (settled.at = clock.now()));
    while (server.requests().length === 0) await clock.advance(0);
    await clock.advance(5_099);
    expect([clock.pendingTimers, settled.at]).toEqual([1, 0]);
    await clock.advance(1);
    await noted;
    expect(settled.at).toBe(5_100);
  });
});

test.each(['truncated', 'html', 'empty', 'text'] as const)(
  'a body is no JSON: %s',
  async (body) => {
    await withEsimGo({ faults: [{ fault: { kind: 'malformed', body } }] }, async ({ get }) => {
      const answer = await get('/catalogue');
      expect([answer.status, typeof answer.body]).toEqual([200, 'string']);
      expect(answer.headers.get('content-type')).toBe(
        body === 'html' ? 'text/html' : 'application/json',
      );
    });
  },
);

test('every third bundle lacks fields and has others of the wrong type', async () => {
  const fault = {
    kind: 'damage',
    every: 3,
    omit: ['name'],
    set: { price: 'free', extra: null },
  } as const;
  await withEsimGo({ faults: [{ fault }] }, async ({ get, page }) => {
    const { bundles } = await page('perPage=9');
    expect(bundles.map((bundle) => 'name' in bundle)).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
      true,
      true,
      false,
    ]);
    expect(bundles[2]).toMatchObject({ price: 'free', extra: null, groups: expect.any(Array) });
    expect(bundles[0]?.price).toEqual(expect.any(Number));
    expect((await get('/catalogue/bundle/esim_1GB_7D_DZ_V2')).body).toMatchObject({
      price: expect.any(Number),
    });
  });
});

test.each([[3], [-3]])(
  '%d rows between two pages repeat or skip bundles, and change the counts',
  async (rows) => {
    const faults = [
      { operation: 'catalogue', page: 2, times: 1, fault: { kind: 'drift', rows } },
    ] as const;
    await withEsimGo({ faults }, async ({ server, page }) => {
      const first = await page(`${inGroup}&page=1`);
      const second = await page(`${inGroup}&page=2`);
      expect(second.rows).toBe(first.rows + rows);
      const again = namesOf(second).filter((name) => namesOf(first).includes(name));
      expect(again.length).toBe(Math.max(0, rows));
      const whole = await page(`group=${encodeURIComponent(group)}&perPage=5000`);
      expect(whole.bundles.length).toBe(first.rows + rows);
      const skipped = namesOf(whole)
        .slice(0, 20)
        .filter((name) => ![...namesOf(first), ...namesOf(second)].includes(name));
      // Those that came, or those that moved to a page that was read before.
      expect(skipped.length).toBe(3);
      const lost = namesOf(first).filter((name) => !namesOf(whole).includes(name));
      expect(lost.length).toBe(Math.max(0, -rows));
      expect(() => server.drift('Nobody', 1)).toThrow(
        /^drift: group must be one of .*but is "Nobody"$/,
      );
      // Who starts again sees a catalog that stands still, in either direction.
      server.drift(group, -rows);
      expect((await page(`${inGroup}&page=1`)).bundles).toEqual(first.bundles);
    });
  },
);

test('a page repeats itself whatever is asked, and counts lie', async () => {
  await withEsimGo({ faults: [{ fault: { kind: 'page', page: 1 } }] }, async ({ server, page }) => {
    const first = namesOf(await page(inGroup));
    expect(namesOf(await page(`${inGroup}&page=100000`))).toEqual(first);
    server.setFaults([{ fault: { kind: 'counts', rows: 1, pageCount: 0 } }]);
    expect(await page(inGroup)).toMatchObject({ rows: 1, pageCount: 0, pageSize: 10 });
  });
});

test('a recorded response is sent as it is', async () => {
  const body = '{"message": "maintenance"';
  const fault = { kind: 'response', status: 200, headers: { 'x-cache': 'HIT' }, body } as const;
  await withEsimGo({ faults: [{ fault }] }, async ({ get }) => {
    const answer = await get('/catalogue', { headers: {} });
    expect(answer).toMatchObject({ status: 200, body });
    expect(answer.headers.get('x-cache')).toBe('HIT');
  });
});

test('random failures are a share of the requests, the same for each seed', async () => {
  const drawn = async (options: EsimGoOptions): Promise<readonly number[]> => {
    let seen: readonly number[] = [];
    await withEsimGo({ rows: 1, failureRate: 0.3, ...options }, async (open) => {
      seen = await statuses(
        open,
        Array.from({ length: 120 }, () => '/organisation/groups'),
      );
    });
    return seen;
  };
  const first = await drawn({ seed: 5 });
  expect(await drawn({ seed: 5 })).toEqual(first);
  expect(await drawn({ seed: 6 })).not.toEqual(first);
  const failed = first.filter((status) => status !== 200);
  expect(failed.length).toBeGreaterThan(18);
  expect(failed.length).toBeLessThan(60);
  expect(new Set(failed)).toEqual(new Set([500, 502, 503]));
  expect(new Set(await drawn({ failureRate: 0 }))).toEqual(new Set([200]));
});

test('the most requests at a time are counted', async () => {
  const clock = createFakeClock();
  await withEsimGo({ clock, latencyMs: 50 }, async ({ server, get }) => {
    const five = Promise.all(Array.from({ length: 5 }, () => get('/organisation/groups')));
    while (clock.pendingTimers < 5) await clock.advance(0);
    await clock.settle(five);
    await clock.settle(get('/organisation/groups'));
    expect(server.getStats()).toMatchObject({
      peakInFlight: 5,
      requests: { groups: 6, catalogue: 0 },
    });
  });
});

test.each<[string, unknown, string]>([
  ['rows', { rows: -1 }, '-1'],
  ['invalidKeyStatus', { invalidKeyStatus: 404 }, '404'],
  ['rateLimit', { rateLimit: true }, 'true'],
  ['rateLimit.requests', { rateLimit: { requests: 0 } }, '0'],
  ['failureRate', { failureRate: 1.1 }, '1.1'],
  ['bundles', { bundles: {} }, 'an object'],
  ['faults[0].fault.kind', { faults: [{ fault: { kind: 'explode' } }] }, 'explode'],
  ['faults[0].fault.status', { faults: [{ fault: { kind: 'status', status: 200 } }] }, '200'],
  [
    'faults[1].times',
    { faults: [{ fault: { kind: 'silent' } }, { times: 0, fault: { kind: 'silent' } }] },
    '0',
  ],
  [
    'faults[0].fault.headers.x',
    { faults: [{ fault: { kind: 'response', status: 200, headers: { x: 'a\nb' } } }] },
    'a',
  ],
  ['port', { port: 70_000 }, '70000'],
  ['rate', { rate: 1 }, 'rate'],
])('%s out of its range is refused by name', async (field, options, value) => {
  const given: object = typeof options === 'object' && options !== null ? options : {};
  const opened = createEsimGoServer(given);
  await expect(opened).rejects.toThrow(InvalidOptionError);
  await expect(opened).rejects.toMatchObject({ field });
  await expect(opened).rejects.toThrow(value);
});

test('a client that leaves in the middle of a large page leaves nothing behind', async () => {
  await withEsimGo({ rows: 200_000, overMaxPerPage: 'accept' }, async ({ server, get }) => {
    const left = new AbortController();
    const url = `${server.baseUrl}/catalogue?perPage=200000`;
    const response = await fetch(url, {
      headers: { 'x-api-key': server.apiKey },
      signal: left.signal,
    });
    const reader = response.body?.getReader();
    await reader?.read();
    left.abort();
    await expect(reader?.closed).rejects.toThrow(connectionFailed);
    expect((await get('/organisation/groups')).status).toBe(200);
    const { peakInFlight } = server.getStats();
    expect(peakInFlight).toBeLessThanOrEqual(2);
  });
});
