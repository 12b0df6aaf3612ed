import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type CatalogClientOptions,
  CatalogMalformedError,
  CatalogServerError,
  CatalogTimeoutError,
  CatalogUnauthorizedError,
  CatalogUnreachableError,
  createCatalogClient,
} from '@holdfast/catalog';
import { collect } from './collect.ts';
import { ScriptedApi, type ScriptedCall, rows } from './scripted-api.ts';

function open(
  instead?: (call: ScriptedCall) => Response | Promise<Response> | undefined,
  options: Partial<CatalogClientOptions> = {},
) {
  const clock = createFakeClock();
  const groups = { a: rows(250), b: rows(250, 1_000), c: rows(250, 2_000) };
  const api = new ScriptedApi({ clock, groups, ...(instead && { instead }) });
  const client = createCatalogClient({
    apiKey: 'secret-key',
    fetch: api.fetch,
    clock,
    perPage: [100],
    ...options,
  });
  return { clock, api, client };
}

const status = (code: number, headers: Record<string, string> = {}): Response =>
  Response.json({ message: 'so it is' }, { status: code, headers });
const never = (call: ScriptedCall): Promise<Response> =>
  new Promise((_, reject) => {
    call.signal.addEventListener('abort', () => reject(call.signal.reason));
  });

describe.each([401, 403])('a key that is refused with %i', (code) => {
  test('is an error and one alert, and is not tried again', async () => {
    const { clock, api, client } = open(() => status(code));
    const alerts: unknown[] = [];
    client.on('alert', (alert) => alerts.push(alert));
    const failure = await clock.settle(collect(client).catch((error: unknown) => error));
    expect(failure).toBeInstanceOf(CatalogUnauthorizedError);
    expect(failure).toMatchObject({ status: code, retryable: false, path: '/organisation/groups' });
    expect(alerts).toEqual([expect.objectContaining({ status: code })]);
    expect(api.calls).toHaveLength(1);
    expect(JSON.stringify([alerts, String(failure)])).not.toContain('secret-key');
  });

  test('in the middle of a sync ends all of it', async () => {
    const { clock, api, client } = open(({ group, page }) =>
      group === 'b' && page === 2 ? status(code) : undefined,
    );
    let alerts = 0;
    client.on('alert', () => (alerts += 1));
    await expect(clock.settle(collect(client))).rejects.toBeInstanceOf(CatalogUnauthorizedError);
    expect(alerts).toBe(1);
    expect(api.calls.some(({ group }) => group === 'c')).toBe(false);
  });

  test('only for pages is an error and an alert too', async () => {
    const { clock, client } = open(({ group }) => (group === '' ? undefined : status(code)), {
      perPage: [100, 50],
    });
    let alerts = 0;
    client.on('alert', () => (alerts += 1));
    await expect(clock.settle(collect(client))).rejects.toBeInstanceOf(CatalogUnauthorizedError);
    expect(alerts).toBe(1);
  });
});

describe.each([500, 502, 503, 504])('a server that answers %i', (code) => {
  test('is an error at once that says when to retry, and an event for the log', async () => {
    const { clock, api, client } = open(() => status(code, { 'retry-after': '7' }));
    const events: unknown[] = [];
    client.on('server-error', (event) => events.push(event));
    const failure = await clock.settle(client.listGroups().catch((error: unknown) => error));
    expect(failure).toBeInstanceOf(CatalogServerError);
    expect(failure).toMatchObject({ status: code, retryable: true, retryAfterMs: 7_000 });
    expect(events).toEqual([
      { path: '/organisation/groups', status: code, message: 'so it is', retryAfterMs: 7_000 },
    ]);
    expect(api.calls).toHaveLength(1);
    expect(clock.now()).toBe(0);
  });

  test('is tried again as often as asked', async () => {
    const { clock, api, client } = open(
      ({ number }) => (number < 2 ? status(code, { 'retry-after': '2' }) : undefined),
      { maxServerAttempts: 3 },
    );
    expect(await clock.settle(client.listGroups())).toEqual(['a', 'b', 'c']);
    expect(api.calls).toHaveLength(3);
    expect(clock.now()).toBeGreaterThanOrEqual(4_000);
  });
});

describe('one group fails and the others are fetched', () => {
  test.each<[string, (call: ScriptedCall) => Response | Promise<Response>, unknown]>([
    ['by a 500', () => status(500), CatalogServerError],
    ['by JSON that ends early', () => new Response('{"bundles":[{"na'), CatalogMalformedError],
    ['by a page of a proxy', () => new Response('<html>502</html>'), CatalogMalformedError],
    ['by nothing at all', () => new Response(''), CatalogMalformedError],
    ['by NaN', () => new Response('{"bundles":[NaN]}'), CatalogMalformedError],
    [
      'by bytes that are no text',
      () => new Response(new Uint8Array([0xff, 0xfe])),
      CatalogMalformedError,
    ],
    ['by null', () => Response.json(null), CatalogMalformedError],
    ['by a missing field', () => Response.json({ rows: 3 }), CatalogMalformedError],
    ['by a field of the wrong type', () => Response.json({ bundles: {} }), CatalogMalformedError],
    ['by too many bytes', () => new Response('x'.repeat(200_000)), CatalogMalformedError],
    ['by silence', never, CatalogTimeoutError],
    ['by a reset', () => Promise.reject(new TypeError('fetch failed')), CatalogUnreachableError],
  ])('%s', async (_, respond, expected) => {
    const { clock, client } = open(
      (call) => (call.group === 'b' && call.page === 2 ? respond(call) : undefined),
      { maxPageBytes: 100_000 },
    );
    const { names, failed } = await clock.settle(collect(client));
    expect(Object.keys(names)).toEqual(['a', 'c']);
    expect(failed['b']).toBeInstanceOf(expected);
    expect(clock.pendingTimers).toBe(0);
    const again = open();
    const retried = await again.clock.settle(collect(again.client, { groups: ['b'] }));
    expect(retried.names['b']).toHaveLength(250);
  });
});

describe('one deadline covers a request to its last byte', () => {
  const trickle = (): Response =>
    new Response(new ReadableStream({ start: (body) => body.enqueue(new Uint8Array(8)) }));

  test.each<[string, (call: ScriptedCall) => Response | Promise<Response>]>([
    ['a server that says nothing', never],
    ['a body that never ends', trickle],
    ['a fetch that hears no abort', () => new Promise<Response>(() => {})],
  ])('with %s', async (_, respond) => {
    const { clock, api, client } = open(respond, { timeoutMs: 1_000, maxAttempts: 2 });
    const failure = await clock.settle(client.listGroups().catch((error: unknown) => error));
    expect(failure).toBeInstanceOf(CatalogTimeoutError);
    expect(failure).toMatchObject({ timeoutMs: 1_000, retryable: true });
    expect(api.calls).toHaveLength(2);
    expect(clock.now()).toBeGreaterThanOrEqual(2_000);
    expect(clock.now()).toBeLessThan(2_300);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a lost connection is tried again after a pause that grows', async () => {
    const { clock, client } = open(({ number }) =>
      number < 2 ? Promise.reject(new TypeError('fetch failed')) : undefined,
    );
    const attempts: number[] = [];
    client.on('retried', ({ attempt }) => attempts.push(attempt));
    expect(await clock.settle(client.listGroups())).toHaveLength(3);
    expect(attempts).toEqual([1, 2]);
    expect(clock.now()).toBeGreaterThanOrEqual(160 + 320);
  });

  test('after two groups without an answer the rest is not asked for', async () => {
    const { clock, api, client } = open(({ group }) =>
      group === '' ? undefined : Promise.reject(new TypeError('fetch failed')),
    );
    const { failed } = await clock.settle(collect(client));
    expect(Object.keys(failed)).toEqual(['a', 'b', 'c']);
    expect(api.calls.some(({ group }) => group === 'c')).toBe(false);
  });
});

test('a client that is closed ends what runs, and refuses more', async () => {
  const { clock, client } = open(never);
  const running = client.listGroups().catch((error: unknown) => error);
  await clock.advance(10);
  await client.close();
  await client.close();
  expect(await running).toMatchObject({ code: 'CATALOG_CLIENT_CLOSED' });
  await expect(client.listGroups()).rejects.toMatchObject({ code: 'CATALOG_CLIENT_CLOSED' });
  expect(clock.pendingTimers).toBe(0);
});

describe('an option that cannot be is refused by its name', () => {
  test.each<[string, object]>([
    ['apiKey', { apiKey: 'a b\n' }],
    ['baseUrl', { baseUrl: 'ftp://api' }],
    ['baseUrl', { baseUrl: 'https://user:secret@api' }],
    ['perPage', { perPage: [50, 100] }],
    ['perPage', { perPage: [] }],
    ['maxInFlight', { maxInFlight: 0 }],
    ['maxRejectedShare', { maxRejectedShare: 2 }],
    ['unknown', { unknown: 1 }],
  ])('%s', (field, given) => {
    const create = () => createCatalogClient({ apiKey: 'key', ...given });
    expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field }));
    expect(create).not.toThrow('secret');
  });
});

describe('groups are listed', () => {
  test.each([
    [{ groups: [{ name: 'a', desc: null }, { name: 'b' }, { name: 'a' }] }],
    [[{ name: 'a' }, { name: 'b' }]],
    [['a', 'b']],
  ])('from %j', async (body) => {
    const { clock, client } = open(() => Response.json(body));
    expect(await clock.settle(client.listGroups())).toEqual(['a', 'b']);
  });

  test.each([[{}], [{ groups: [{}] }], [{ groups: [{ name: '' }] }], ['a'], [null]])(
    'not from %j',
    async (body) => {
      const { clock, client } = open(() => Response.json(body));
      await expect(clock.settle(client.listGroups())).rejects.toBeInstanceOf(CatalogMalformedError);
    },
  );
});
