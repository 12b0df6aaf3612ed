import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { EsimGoApi } from '../../src/esim-go/api/esim-go-api.ts';
import { parseEsimGoSettings } from '../../src/esim-go/api/options.ts';
import { withEsimGo } from './esim-go-client.ts';

test('ten requests a second are allowed, and every response tells what is left', async () => {
  const clock = createFakeClock(1_700_000_000_000);
  await withEsimGo({ clock, rateLimit: {} }, async ({ server, get }) => {
    await clock.advance(400);
    for (let left = 9; left >= 0; left -= 1) {
      // What is refused for another reason costs as much.
      const { status, headers } = await get(left % 2 === 0 ? '/organisation/groups' : '/nowhere');
      expect(status).toBe(left % 2 === 0 ? 200 : 404);
      expect(Object.fromEntries(headers)).toMatchObject({
        'x-ratelimit-limit': '10',
        'x-ratelimit-remaining': String(left),
        'x-ratelimit-reset': new Date(1_700_000_001_000).toISOString(),
        'x-ratelimit-cost': '1',
      });
    }
    const refused = await get('/organisation/groups');
    expect(refused).toMatchObject({ status: 429, body: { message: 'Rate limit exceeded' } });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
    await clock.advance(599);
    expect((await get('/organisation/groups')).status).toBe(429);
    await clock.advance(1);
    expect((await get('/organisation/groups')).status).toBe(200);
    expect(server.getStats().rateLimit).toEqual({ tokens: 11, refused: 2, windows: 2 });
  });
});

test('a step of the wall clock gives nobody more requests', async () => {
  const clock = createFakeClock();
  await withEsimGo({ clock, rateLimit: { requests: 1 } }, async ({ get }) => {
    expect((await get('/catalogue')).status).toBe(200);
    clock.stepWallClock(3_600_000);
    expect((await get('/catalogue')).status).toBe(429);
  });
});

test('a longer window tells how many seconds it lasts, and a request may cost more', async () => {
  const clock = createFakeClock();
  const rateLimit = { requests: 5, windowMs: 60_000, cost: 2 };
  await withEsimGo({ clock, rateLimit }, async ({ server, get }) => {
    await clock.advance(10_500);
    const { headers } = await get('/catalogue');
    expect([headers.get('x-ratelimit-remaining'), headers.get('x-ratelimit-cost')]).toEqual([
      '3',
      '2',
    ]);
    expect((await get('/catalogue')).status).toBe(200);
    const refused = await get('/catalogue');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '50']);
    server.change({ rateLimit: false });
    expect((await get('/catalogue')).headers.has('x-ratelimit-limit')).toBe(false);
  });
});

test('each address has a limit of its own', () => {
  const settings = parseEsimGoSettings('test', { rateLimit: { requests: 1 } });
  const api = new EsimGoApi(settings, createFakeClock());
  const statusFor = (address: string): number =>
    api.respond({ method: 'GET', path: '/organisation/groups', apiKey: 'holdfast', address })
      .status;
  expect(['a', 'b', 'a', 'b', 'c'].map(statusFor)).toEqual([200, 200, 429, 429, 200]);
});

test('changed faults leave the window as it is', async () => {
  const clock = createFakeClock();
  await withEsimGo({ clock, rateLimit: { requests: 2 } }, async ({ server, get }) => {
    expect((await get('/catalogue')).status).toBe(200);
    server.setFaults([{ fault: { kind: 'status', status: 500 } }]);
    expect((await get('/catalogue')).status).toBe(500);
    server.setFaults([]);
    expect((await get('/catalogue')).status).toBe(429);
  });
});
