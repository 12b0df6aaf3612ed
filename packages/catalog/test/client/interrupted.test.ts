import { afterEach, expect, test } from '@jest/globals';
import {
  type CatalogPage,
  type DriftKind,
  type InterruptedFetch,
  createCatalogClient,
} from '@holdfast/catalog';
import { type EsimGoServer, createEsimGoServer } from '@holdfast/emulators/esim-go';
import { collect } from './collect.ts';

const GROUP = 'Standard Fixed';
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close();
});

/** All pages of one group of a server, as an earlier process has fetched them. */
async function fetchAll(): Promise<{
  readonly server: EsimGoServer;
  readonly pages: readonly CatalogPage[];
  readonly interrupted: (count: number) => InterruptedFetch;
}> {
  const server = await createEsimGoServer({ rateLimit: false, rows: 1_000, maxPerPage: 50 });
  opened.push(server);
  const client = open(server);
  const { items } = await collect(client, { groups: [GROUP] });
  const pages = items.filter((item) => item.kind === 'page');
  const { paging } = client.getStats();
  if (paging === undefined) throw new Error('it was not found out');
  const interrupted = (count: number): InterruptedFetch => ({
    paging,
    page: (_, page) => pages.slice(0, count).find((each) => each.page === page),
  });
  return { server, pages, interrupted };
}

function open({ apiKey, baseUrl }: EsimGoServer) {
  const client = createCatalogClient({ apiKey, baseUrl, fetch: (url, init) => fetch(url, init) });
  opened.push(client);
  return client;
}

test('the pages of an interrupted fetch are not asked for, nor is the paging', async () => {
  const { server, pages, interrupted } = await fetchAll();
  for (const count of [1, 3, pages.length]) {
    const before = server.requests().length;
    const { items, failed } = await collect(open(server), {
      groups: [GROUP],
      interrupted: interrupted(count),
    });
    expect([failed, server.requests().length - before]).toEqual([{}, pages.length - count]);
    const summary = pages.map(({ page, sha256 }) => ({ page, sha256 }));
    expect(items.at(-1)).toMatchObject({ kind: 'fetched', pages: summary });
  }
});

test('they are of no use for a client that asks for other pages', async () => {
  const { server, pages, interrupted } = await fetchAll();
  const { paging, page } = interrupted(3);
  server.change({ firstPage: 0 });
  const client = open(server);
  const before = server.requests().length;
  await collect(client, { groups: [GROUP] });
  const { failed } = await collect(client, { groups: [GROUP], interrupted: { paging, page } });
  expect(failed).toEqual({});
  expect(server.requests().length - before).toBeGreaterThanOrEqual(2 * pages.length);
});

test('where the API has changed since, the group is fetched as after any other drift', async () => {
  for (const rows of [1, -1, 70]) {
    const { server, interrupted } = await fetchAll();
    server.drift(GROUP, rows);
    const client = open(server);
    const drifts: DriftKind[] = [];
    client.on('drifted', ({ reason }) => drifts.push(reason));
    const options = { groups: [GROUP], interrupted: interrupted(3) };
    const { items, failed } = await collect(client, options);
    const fresh = await collect(open(server), { groups: [GROUP] });
    expect([failed, drifts]).toEqual([
      {},
      ['rows-changed', 'rows-changed'].slice(0, drifts.length),
    ]);
    expect(drifts.length).toBeGreaterThan(0);
    const endOf = ({ items: all }: { items: readonly object[] }): object => ({ ...all.at(-1) });
    expect(endOf({ items })).toEqual(endOf(fresh));
  }
});

test('a page whose rows an earlier page has is asked for, because only its rows tell which count', async () => {
  const { server, pages, interrupted } = await fetchAll();
  const { paging } = interrupted(0);
  const [first, second] = pages;
  if (first === undefined || second === undefined) throw new Error('there are too few pages');
  const before = server.requests().length;
  // Under another hash, as if one row differed.
  const page: InterruptedFetch['page'] = (_, number) =>
    [first, { ...first, page: second.page, sha256: 'f'.repeat(64) }].find(
      (each) => each.page === number,
    );
  const options = { groups: [GROUP], interrupted: { paging, page } };
  const { failed, items } = await collect(open(server), options);
  expect([failed, server.requests().length - before]).toEqual([{}, pages.length - 1]);
  const rows = pages.reduce((sum, each) => sum + each.rows, 0);
  expect(items.at(-1)).toMatchObject({ kind: 'fetched', rows });
});
