import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createFrontDoor } from '../../src/publish/front-door.ts';
import { serveSite } from '../../src/publish/front-door-server.ts';
import { createMemorySiteStore } from '../../src/publish/memory-store.ts';
import { createPublisher } from '../../src/publish/publisher.ts';
import { faultyStore, siteOf, stampOf } from './sites.ts';

test('a page that is open gets the files of its own release, also after the next publish', async () => {
  const store = createMemorySiteStore();
  const publisher = createPublisher({ store });
  const door = createFrontDoor({ store, pointerTtlMs: 0 });
  await publisher.publish(await siteOf('one'), stampOf(1));
  const page = await door.answer({ path: '/' });
  await publisher.publish(await siteOf('two'), stampOf(2));
  const { release } = page;
  const style = await door.answer({ path: '/site.css', release });
  expect([String(page.body), String(style.body)]).toEqual([
    expect.stringContaining('one'),
    '/* one */',
  ]);
  const next = await door.answer({ path: '/', release });
  expect(String(next.body)).toContain('two');
  const nextStyle = await door.answer({ path: '/site.css', release: next.release });
  expect(String(nextStyle.body)).toBe('/* two */');
});

test('what is in memory is served while the store is down, and what is not is a 503', async () => {
  const clock = createFakeClock();
  const store = faultyStore(createMemorySiteStore());
  const door = createFrontDoor({ store, clock });
  expect(await door.answer({ path: '/' })).toMatchObject({ status: 404 });
  await clock.advance(1_001);
  await createPublisher({ store }).publish(await siteOf('one'), stampOf(1));
  expect(await door.answer({ path: '/' })).toMatchObject({ status: 200 });
  store.faults.push({ on: 'get ', kind: 'network', times: Infinity });
  await clock.advance(60_000);
  expect(await door.answer({ path: '/' })).toMatchObject({ status: 200 });
  expect(await door.answer({ path: '/same.txt' })).toMatchObject({ status: 503 });
  store.faults.length = 0;
  expect(await door.answer({ path: '/same.txt' })).toMatchObject({ status: 200 });
});

test('over HTTP a cookie keeps a page and its files together; nothing outside the site is served', async () => {
  const store = createMemorySiteStore();
  const publisher = createPublisher({ store });
  await publisher.publish(await siteOf('one'), stampOf(1));
  const server = await serveSite({ store, pointerTtlMs: 0 });
  const page = await fetch(server.url);
  const cookie = page.headers.get('set-cookie')?.split(';')[0] ?? '';
  await publisher.publish(await siteOf('two'), stampOf(2));
  const style = await fetch(`${server.url}/site.css`, { headers: { cookie } });
  expect(await style.text()).toBe('/* one */');
  const etag = style.headers.get('etag') ?? '';
  const known = await fetch(`${server.url}/site.css`, {
    headers: { cookie, 'if-none-match': etag },
  });
  expect(known.status).toBe(304);
  expect((await fetch(`${server.url}/gone`)).status).toBe(404);
  expect((await fetch(`${server.url}/%2e%2e%2fcurrent.json`)).status).toBe(400);
  expect((await fetch(server.url, { method: 'POST' })).status).toBe(405);
  await server.close();
});
