import { describe, expect, test } from '@jest/globals';
import { propertyOf } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  CatalogDriftError,
  type CatalogClientOptions,
  CatalogShrunkError,
  type PageDigest,
  createCatalogClient,
} from '@holdfast/catalog';
import { collect } from './collect.ts';
import { ScriptedApi, type ScriptedCall, row, rows } from './scripted-api.ts';

function open(
  script: Omit<ConstructorParameters<typeof ScriptedApi>[0], 'clock'> = {},
  options: Partial<CatalogClientOptions> = {},
) {
  const clock = createFakeClock();
  const api = new ScriptedApi({ clock, groups: { g: rows(450) }, ...script });
  const client = createCatalogClient({
    apiKey: 'key',
    fetch: api.fetch,
    clock,
    perPage: [100],
    maxInFlight: 1,
    ...options,
  });
  const rounds: number[] = [];
  client.on('drifted', ({ fromPage }) => rounds.push(fromPage));
  return { clock, api, client, rounds };
}

/** The names in the order of the API. */
function namesOf(api: ScriptedApi): readonly unknown[] {
  return (api.groups['g'] ?? []).map((each) => propertyOf(each, 'name'));
}

/** Changes the rows when a page is asked for the first time after probing. */
function once(page: number, change: () => void): (call: ScriptedCall) => undefined {
  let isDone = false;
  return (call) => {
    if (call.page !== page || isDone) return;
    isDone = true;
    change();
  };
}

describe('rows that change while a group is fetched', () => {
  test('are all there, by the tail alone, if they came at the end', async () => {
    const { clock, api, client, rounds } = open();
    api.instead = once(3, () => void api.groups['g']?.push(row(900)));
    const { names } = await clock.settle(collect(client));
    expect(rounds).toEqual([2]);
    expect(names['g']).toEqual(namesOf(api));
  });

  test('are all there, by the whole group, if they came before the pages that had come', async () => {
    const { clock, api, client, rounds } = open();
    api.instead = once(3, () => void api.groups['g']?.unshift(row(900)));
    const { names } = await clock.settle(collect(client));
    expect(rounds).toEqual([2, 1]);
    expect(new Set(names['g'])).toEqual(new Set(namesOf(api)));
    expect(names['g']).toHaveLength(451);
  });

  test('are noticed though their number is the same', async () => {
    const { clock, api, client, rounds } = open();
    api.instead = once(3, () => {
      api.groups['g']?.unshift(row(900));
      api.groups['g']?.pop();
    });
    const { names } = await clock.settle(collect(client));
    expect(rounds.length).toBeGreaterThan(0);
    expect(new Set(names['g'])).toEqual(new Set(namesOf(api)));
  });

  test('are gone, if they were removed', async () => {
    const { clock, api, client } = open();
    api.instead = once(4, () => void api.groups['g']?.splice(50, 10));
    const { names } = await clock.settle(collect(client));
    expect(names['g']).toEqual(namesOf(api));
  });

  test('all the time fail the group after the tail and the whole of it', async () => {
    const { clock, api, client, rounds } = open();
    api.instead = ({ page }) => {
      if (page === 3) api.groups['g']?.unshift(row(1_000 + api.calls.length));
      return undefined;
    };
    const { failed } = await clock.settle(collect(client));
    expect(failed['g']).toBeInstanceOf(CatalogDriftError);
    expect(rounds).toEqual([2, 1]);
    expect(api.calls.length).toBeLessThan(20);
  });
});

test('names that the API itself has twice are rejected, and the group is kept', async () => {
  const doubled = [...rows(225), row(3, { price: 9 }), ...rows(224, 225)];
  const { clock, client } = open({ groups: { g: doubled } });
  const { items, names } = await clock.settle(collect(client));
  expect(items.at(-1)).toMatchObject({
    kind: 'fetched',
    rows: 449,
    rejections: { reasons: { 'name: only once, and came with other content': 1 } },
  });
  expect(new Set(names['g']).size).toBe(449);
});

describe('pages that cannot be are an error after few requests', () => {
  const pageOne = (api: ScriptedApi, call: ScriptedCall): Response =>
    Response.json(api.page({ ...call, page: 1 }));

  test('one page for every number', async () => {
    const { clock, api, client } = open({}, { maxInFlight: 8 });
    api.instead = (call) => (call.path.endsWith('groups') ? undefined : pageOne(api, call));
    const { failed } = await clock.settle(collect(client));
    expect(failed['g']).toMatchObject({ reason: 'repeated-page' });
    expect(api.calls.length).toBeLessThan(30);
  });

  test.each(['object', 'array'])('pages that never end (%s)', async (envelope) => {
    const { clock, api, client } = open({}, { maxPages: 50 });
    api.instead = ({ path, page }) => {
      if (path.endsWith('groups')) return undefined;
      const bundles = rows(100, page * 100);
      return Response.json(envelope === 'array' ? bundles : { bundles, rows: 1e9, pageCount: 1e7 });
    };
    const { failed } = await clock.settle(collect(client));
    expect(failed['g']).toMatchObject({ reason: 'endless' });
    expect(api.calls.length).toBeLessThan(60);
  });

  test.each([
    ['more', 500, 'rows-missing'],
    ['fewer', 400, 'rows-added'],
    ['far fewer', 1, 'rows-added'],
  ])('%s rows stated than come', async (_, stated, reason) => {
    const { clock, api, client } = open();
    api.instead = (call) =>
      call.path.endsWith('groups') ? undefined : Response.json({ ...api.page(call), rows: stated });
    const { failed } = await clock.settle(collect(client));
    expect(failed['g']).toMatchObject({ reason });
    expect(api.calls.length).toBeLessThan(25);
  });

  test('a page that repeats once is fetched again', async () => {
    const { clock, api, client, rounds } = open();
    let times = 0;
    api.instead = (call) => (call.page === 3 && times++ === 0 ? pageOne(api, call) : undefined);
    const { names } = await clock.settle(collect(client));
    expect(rounds).toEqual([2]);
    expect(new Set(names['g']).size).toBe(450);
  });
});

test.each([0, 2, 6, 1_000_000, -1, '5', null])(
  'a pageCount of %j is not believed',
  async (pageCount) => {
    const { clock, api, client } = open();
    api.instead = (call) => {
      if (call.path.endsWith('groups')) return undefined;
      // Some refuse what lies beyond the last page.
      if (call.page > 5) return Response.json({ message: 'no such page' }, { status: 404 });
      return Response.json({ ...api.page(call), pageCount });
    };
    const { names } = await clock.settle(collect(client));
    expect(names['g']).toHaveLength(450);
  },
);

describe('a group that lost more than a tenth of its rows', () => {
  const previousRows = new Map([
    ['g', 501],
    ['gone', 20],
    ['empty', 0],
  ]);

  test('fails, and so does one that is no longer listed', async () => {
    const { clock, client } = open();
    const { failed, names } = await clock.settle(collect(client, { previousRows }));
    expect(failed['g']).toBeInstanceOf(CatalogShrunkError);
    expect(failed['gone']).toMatchObject({ rows: 0, previousRows: 20, retryable: false });
    expect(Object.keys(failed)).toHaveLength(2);
    expect(names).toEqual({});
  });

  test('is taken if that is permitted, and a tenth always is', async () => {
    const { clock, client } = open();
    const permitted = await clock.settle(collect(client, { previousRows, allowShrink: true }));
    expect(permitted.names['g']).toHaveLength(450);
    expect(permitted.failed).toEqual({});
    const tenth = await clock.settle(collect(client, { previousRows: new Map([['g', 500]]) }));
    expect(tenth.names['g']).toHaveLength(450);
  });
});

describe('pages that are known', () => {
  const remember = (items: Awaited<ReturnType<typeof collect>>['items']) => {
    const digests = new Map<string, PageDigest>();
    for (const item of items) {
      if (item.kind === 'page') digests.set(`${item.group}/${item.page}`, item);
    }
    return (group: string, page: number) => digests.get(`${group}/${page}`);
  };

  test('are not parsed again, though the number of rows has changed', async () => {
    const { clock, api, client } = open();
    const known = remember((await clock.settle(collect(client))).items);
    api.groups['g']?.push(row(900));
    const { items } = await clock.settle(collect(client, { known }));
    const pages = items.filter((item) => item.kind === 'page');
    expect(pages.map(({ bundles }) => bundles?.length)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      51,
    ]);
    expect(items.at(-1)).toMatchObject({ kind: 'fetched', rows: 451 });
    expect(client.getStats().unchangedPages).toBe(4);
  });

  test('are recognized in the bare form too, and after a tail was fetched again', async () => {
    const { clock, api, client, rounds } = open();
    const bare = (call: ScriptedCall): Response | undefined => {
      if (call.path.endsWith('groups')) return undefined;
      return Response.json(propertyOf(api.page(call), 'bundles'));
    };
    api.instead = bare;
    const known = remember((await clock.settle(collect(client))).items);
    await clock.settle(collect(client, { known }));
    expect(client.getStats().unchangedPages).toBe(5);
    const change = once(5, () => void api.groups['g']?.push(row(900)));
    api.instead = (call) => change(call);
    const { items } = await clock.settle(collect(client, { known }));
    expect(rounds).toEqual([4]);
    expect(items.at(-1)).toMatchObject({ kind: 'fetched', rows: 451 });
  });

  test('are parsed if a name of theirs has come before', async () => {
    const { clock, api, client } = open();
    const known = remember((await clock.settle(collect(client))).items);
    const group = api.groups['g'] ?? [];
    group[0] = row(250, { price: 77 });
    const { items } = await clock.settle(collect(client, { known }));
    expect(items.at(-1)).toMatchObject({ kind: 'fetched', rows: 449, rejections: { rejected: 1 } });
  });

  test('keep the number of their rejected rows', async () => {
    const sent = rows(450);
    sent[5] = row(5, { price: -1 });
    const { clock, client } = open({ groups: { g: sent } });
    const known = remember((await clock.settle(collect(client))).items);
    const { items } = await clock.settle(collect(client, { known }));
    expect(items.at(-1)).toMatchObject({ rows: 449, rejections: { rejected: 1 } });
    expect(client.getStats().unchangedPages).toBe(5);
  });
});

test('no page is fetched far ahead of its consumer, and leaving cancels the rest', async () => {
  const { clock, api, client } = open({ groups: { g: rows(5_000) } }, { maxInFlight: 4 });
  let taken = 0;
  await clock.settle(
    (async () => {
      for await (const item of client.fetchBundles()) {
        taken += item.kind === 'page' ? 1 : 0;
        await clock.advance(1_000);
        const listed = api.calls.filter(({ page }) => page > 0).length;
        expect(listed).toBeLessThanOrEqual(taken + 4 + 3);
        if (taken === 5) break;
      }
    })(),
  );
  expect(api.inFlight).toBe(0);
  expect(api.calls.length).toBeLessThan(15);
  expect(clock.pendingTimers).toBe(0);
});
