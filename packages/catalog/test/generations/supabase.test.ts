import { beforeEach, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { GenerationStore, StagedGeneration } from '../../src/generations/generation-store.ts';
import { type SupabaseFetch, createSupabaseGenerations } from '../../src/supabase.ts';
import { bundlesOf, manifestOf } from '../bundles.ts';

const KEY = 'sb_secret_never_shown';
const clock = createFakeClock();

type Answer = () => Response | Promise<Response>;

/** What is answered to a path that contains the key. */
let answers: Map<string, Answer>;
let requests: { readonly path: string; readonly init: RequestInit }[];

const json = (value: unknown, status = 200): Response =>
  new Response(JSON.stringify(value), { status });

const fetch: SupabaseFetch = async (url, init) => {
  const { pathname } = new URL(url);
  requests.push({ path: pathname, init });
  for (const [part, answer] of answers) if (pathname.includes(part)) return answer();
  return json({ done: true });
};

/** Settles when its signal aborts, as fetch does. */
const hangs = (part: string): Answer => {
  return () =>
    new Promise((_, reject) => {
      const signal = requests.findLast(({ path }) => path.includes(part))?.init.signal;
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
};

let store: GenerationStore;
beforeEach(() => {
  answers = new Map();
  requests = [];
  store = createSupabaseGenerations({ url: 'https://p.test/', key: KEY, fetch, clock });
});

async function staged(rows = 3): Promise<StagedGeneration> {
  const generation = await store.stage({ generation: 1, token: 1 });
  await generation.add(bundlesOf(rows));
  return generation;
}

test.each([
  [401, {}, 'unreachable', 'not-applied'],
  [403, { code: '42501' }, 'unreachable', 'not-applied'],
  [404, { code: 'PGRST202' }, 'refused', 'not-applied'],
  [408, {}, 'timeout', 'unknown'],
  [413, {}, 'full', 'not-applied'],
  [500, { code: '53100' }, 'full', 'not-applied'],
  [500, { code: '57014' }, 'timeout', 'not-applied'],
  [500, {}, 'refused', 'not-applied'],
  [502, '<html>', 'unreachable', 'unknown'],
  [503, {}, 'unreachable', 'not-applied'],
  [504, null, 'timeout', 'unknown'],
])('the status %i with %j is %s, outcome %s', async (status, body, reason, outcome) => {
  answers.set('catalog_rest_current', () => json(body, status));
  const failure = { code: 'CATALOG_STORE', store: 'supabase', reason, outcome };
  await expect(store.current()).rejects.toMatchObject(failure);
});

test('a schema that was never made says which migration makes it', async () => {
  answers.set('catalog_rest_begin', () => json({ code: 'PGRST202', message: 'no function' }, 404));
  await expect(store.stage({ generation: 1, token: 1 })).rejects.toThrow(/supabaseSchemaSql\(\)/);
});

test('a server that does not answer is given up in time; one that is away, or answers no JSON, fails', async () => {
  answers.set('catalog_rest_current', hangs('catalog_rest_current'));
  const waits = clock.settle(store.current());
  await expect(waits).rejects.toMatchObject({ reason: 'timeout' });
  answers.set('catalog_rest_current', () => Promise.reject(new TypeError('fetch failed')));
  await expect(store.current()).rejects.toMatchObject({ reason: 'unreachable' });
  answers.set('catalog_rest_current', () => new Response('<html>'));
  await expect(store.current()).rejects.toMatchObject({ reason: 'refused' });
  expect(clock.pendingTimers).toBe(0);
});

test('the rows go in parts of the given size, under one attempt', async () => {
  const parts = createSupabaseGenerations({
    url: 'https://p.test',
    key: KEY,
    fetch,
    clock,
    rowsPerCall: 2,
  });
  const generation = await parts.stage({ generation: 1, token: 1 });
  await generation.add(bundlesOf(5));
  await generation.publish(manifestOf(5));
  const bodies = requests
    .filter(({ path }) => path.endsWith('catalog_rest_documents'))
    .map(({ init }): { row: number; attempt: string }[] =>
      typeof init.body === 'string' ? JSON.parse(init.body) : [],
    );
  expect(bodies.map((rows) => rows.map(({ row }) => row))).toStrictEqual([[0, 1], [2, 3], [4]]);
  expect(new Set(bodies.flat().map(({ attempt }) => attempt)).size).toBe(1);
});

test('a publication whose answer is lost and which took place has succeeded', async () => {
  const generation = await staged();
  answers.set('catalog_rest_publish', () => Promise.reject(new TypeError('socket hang up')));
  answers.set('catalog_rest_settle', () => json({ published: true }));
  await generation.publish(manifestOf(3));
  await generation.discard();
  // What was published is not discarded.
  expect(requests.at(-1)?.path).toBe('/rest/v1/rpc/catalog_rest_remove');
});

test('one that did not take place is not applied, and one that nobody can tell of is unknown', async () => {
  answers.set('catalog_rest_publish', () => json({}, 504));
  answers.set('catalog_rest_settle', () => json({ published: false }));
  const generation = await staged();
  const failed = { reason: 'timeout', outcome: 'not-applied' };
  await expect(generation.publish(manifestOf(3))).rejects.toMatchObject(failed);
  answers.set('catalog_rest_settle', () => json({}, 503));
  const next = await staged();
  await expect(next.publish(manifestOf(3))).rejects.toMatchObject({
    ...failed,
    outcome: 'unknown',
  });
});

test('a refusal of the fence names what is published', async () => {
  answers.set('catalog_rest_publish', () => json({ fenced: { generation: 9, token: 8 } }));
  const publishing = (await staged()).publish(manifestOf(3));
  await expect(publishing).rejects.toMatchObject({ code: 'CATALOG_FENCED' });
  await expect(publishing).rejects.toThrow(/generation 9, and has seen token 8/);
});

test('rows that were not taken spoil their generation', async () => {
  const generation = await store.stage({ generation: 1, token: 1 });
  answers.set('catalog_rest_documents', () => json({ code: '53100' }, 500));
  await expect(generation.add(bundlesOf(500))).rejects.toMatchObject({ reason: 'full' });
  await expect(generation.publish(manifestOf(500))).rejects.toMatchObject({ reason: 'closed' });
  await generation.discard();
  expect(requests.at(-1)?.path).toBe('/rest/v1/rpc/catalog_rest_settle');
});

test('the key goes to no other address, and says nothing in an error', async () => {
  answers.set('catalog_rest_current', () => json({ message: `no ${'x'.repeat(5_000)}` }, 500));
  const failed: unknown = await store.current().catch((error: unknown) => error);
  expect(requests[0]?.init).toMatchObject({ redirect: 'error', headers: { apikey: KEY } });
  expect(String(failed)).not.toContain(KEY);
  expect(String(failed).length).toBeLessThan(400);
});

test('an abort ends a call with its reason', async () => {
  answers.set('catalog_rest_current', hangs('catalog_rest_current'));
  const ending = new AbortController();
  const waits = store.current({ signal: ending.signal });
  const reason = new Error('the service stops');
  setImmediate(() => ending.abort(reason));
  await expect(waits).rejects.toBe(reason);
});

test.each([
  [{ url: 'ftp://p.test' }, 'url'],
  [{ url: 'https://user:pass@p.test' }, 'url'],
  [{ key: 'line\nbreak' }, 'key'],
  [{ key: '' }, 'key'],
  [{ prefix: 'a;b' }, 'prefix'],
  [{ rowsPerCall: 0 }, 'rowsPerCall'],
])('the options %o are refused, and no key is in the error', (options, field) => {
  const given = { url: 'https://p.test', key: KEY, ...options };
  const open = (): unknown => createSupabaseGenerations(given);
  expect(open).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field }));
  expect(open).toThrow(expect.not.objectContaining({ message: expect.stringContaining(KEY) }));
});
