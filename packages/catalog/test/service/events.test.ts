import { type IncomingMessage, get } from 'node:http';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { CatalogServiceOptions } from '@holdfast/catalog/service';
import { type Fixture, openFixture } from './fixture.ts';

const open: { fixture: Fixture | undefined; responses: IncomingMessage[] } = {
  fixture: undefined,
  responses: [],
};
afterEach(async () => {
  for (const response of open.responses.splice(0)) response.destroy();
  await open.fixture?.service.close();
});

async function listen(
  options: Partial<CatalogServiceOptions> = {},
): Promise<Fixture & { url: string }> {
  const fixture = openFixture(options);
  open.fixture = fixture;
  return { ...fixture, url: await fixture.service.listen() };
}

/** A client of the events, which reads one block after the other. */
async function connect(
  url: string,
): Promise<{ response: IncomingMessage; next(): Promise<string> }> {
  const request = get(`${url}/events`, { agent: false });
  const [response]: IncomingMessage[] = await once(request, 'response');
  if (response === undefined) throw new Error('there is no response');
  open.responses.push(response);
  response.setEncoding('utf8');
  const chunks = response[Symbol.asyncIterator]();
  let text = '';
  return {
    response,
    async next() {
      for (let end = text.indexOf('\n\n'); ; end = text.indexOf('\n\n')) {
        if (end !== -1) {
          const block = text.slice(0, end);
          text = text.slice(end + 2);
          return block;
        }
        const { value, done } = await chunks.next();
        if (done === true) return 'END';
        text += String(value);
      }
    },
  };
}

function statusOf(block: string): unknown {
  expect(block.split('\n')[0]).toBe('event: status');
  return JSON.parse(block.slice(block.indexOf('data: ') + 6));
}

test('a client gets the present status, and each other one once it has changed', async () => {
  const clock = createFakeClock();
  const { catalog, url } = await listen({ clock });
  const client = await connect(url);
  expect(client.response.headers['content-type']).toBe('text/event-stream');
  expect(await client.next()).toBe('retry: 3000');
  expect(statusOf(await client.next())).toMatchObject({ health: 'pass', sync: null });
  await clock.advance(500);
  await client.next();
  if (catalog.origin !== undefined) catalog.origin.ageMs += 500;
  await clock.advance(500);
  catalog.state = {
    sync: { phase: 'staging', pages: 1, reusedPages: 0, rows: 50, expectedRows: undefined },
  };
  await clock.advance(500);
  expect(statusOf(await client.next())).toMatchObject({ sync: { phase: 'staging', rows: 50 } });
  await clock.advance(15_500);
  expect(await client.next()).toBe(':');
});

test('clients over the bound get a 503, and a place that is left is given again', async () => {
  const { url, service } = await listen({ maxEventClients: 2 });
  const [first] = [await connect(url), await connect(url)];
  const refused = await fetch(`${url}/events`);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await refused.json()).toMatchObject({ code: 'CATALOG_EVENTS_FULL' });
  expect(service.getStats().eventClients).toBe(2);
  first.response.destroy();
  while (service.getStats().eventClients === 2) await new Promise(setImmediate);
  expect((await connect(url)).response.statusCode).toBe(200);
});

test('no timer runs without clients', async () => {
  const clock = createFakeClock();
  const { url, service } = await listen({ clock });
  expect(clock.pendingTimers).toBe(0);
  const { response } = await connect(url);
  expect(clock.pendingTimers).toBe(1);
  response.destroy();
  while (service.getStats().eventClients > 0) await new Promise(setImmediate);
  expect(clock.pendingTimers).toBe(0);
});

test('a client that does not read is disconnected, and others are not', async () => {
  const clock = createFakeClock();
  const { catalog, url, service } = await listen({ clock });
  const reading = await connect(url);
  const idle = await connect(url);
  idle.response.pause();
  const message = 'x'.repeat(500);
  const attempts = Array.from(
    { length: 1_000 },
    () => ({ tier: 'api', cause: message, ms: 1 }) as const,
  );
  for (let sent = 0; service.getStats().eventClients === 2; sent += 1) {
    expect(sent).toBeLessThan(100);
    catalog.state = { attempts: attempts.slice(sent) };
    await clock.advance(500);
    while ((await reading.next()).length < 1_000);
  }
  expect(service.getStats().eventClients).toBe(1);
});

test('closing ends the events, lets a request that runs end, and takes no new one', async () => {
  const { catalog, service, url } = await listen();
  const client = await connect(url);
  while ((await client.next()).startsWith('retry'));
  catalog.isHeld = true;
  const running = fetch(`${url}/bundles`);
  while (catalog.signals.length === 0) await new Promise(setImmediate);
  const closing = service.close();
  while ((await client.next()) !== 'END');
  await expect(fetch(`${url}/bundles`)).rejects.toThrow('fetch failed');
  catalog.goOn();
  const { status, headers } = await running;
  expect([status, headers.get('connection')]).toEqual([200, 'close']);
  await closing;
  await service.close();
});

test('a request that does not end is cut when closing has taken its time', async () => {
  const clock = createFakeClock();
  const { catalog, service, url } = await listen({ clock, closeTimeoutMs: 1_000 });
  catalog.isHeld = true;
  const running = fetch(`${url}/bundles`).then(
    () => 'answered',
    () => 'cut',
  );
  while (catalog.signals.length === 0) await new Promise(setImmediate);
  const closing = service.close();
  await clock.advance(1_000);
  await closing;
  expect(await running).toBe('cut');
});

test('a client that does not end its request is closed in time', async () => {
  const { url } = await listen({ requestTimeoutMs: 100 });
  const socket = createConnection(Number(new URL(url).port), '127.0.0.1');
  socket.write('GET /bundles HTTP/1.1\r\nhost: x\r\n');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toContain('408 Request Timeout');
});

test('connections over the bound are closed at once', async () => {
  const { url } = await listen({ maxConnections: 1 });
  const { response } = await connect(url);
  await expect(fetch(`${url}/health/live`)).rejects.toThrow('fetch failed');
  response.destroy();
});

test('a call of the catalog is aborted when its client has gone', async () => {
  const { catalog, url } = await listen();
  catalog.isHeld = true;
  const request = get(`${url}/bundles`).on('error', () => {});
  while (catalog.signals.length === 0) await new Promise(setImmediate);
  request.destroy();
  while (catalog.signals[0]?.aborted !== true) await new Promise(setImmediate);
  expect(catalog.signals[0].reason).toHaveProperty('message', 'the client has gone');
  catalog.goOn();
});
