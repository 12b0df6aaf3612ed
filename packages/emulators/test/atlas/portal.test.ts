import { readFile } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import {
  type PortalServer,
  createIpfsGateway,
  createPortalServer,
  portalDistricts,
  portalStates,
} from '../../src/atlas.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
async function open(options: Parameters<typeof createPortalServer>[0]): Promise<PortalServer> {
  const portal = await createPortalServer(options);
  opened.push(portal);
  return portal;
}
const ask = async (portal: PortalServer, layer: string, query = ''): Promise<string> => {
  const [state = '', name = ''] = layer.split('/');
  const url = `${portal.endpoint(state, name)}/query?f=geojson${query}`;
  return fetch(url).then(
    async (response) => `${response.status} ${(await response.text()).slice(0, 60)}`,
    () => 'reset',
  );
};

test('equal seeds draw equal districts and faults, whatever other layers are asked for between', async () => {
  const asked: string[][] = [];
  for (const others of [[], ['MN/congressional']]) {
    const portal = await open({ faultRate: 0.5, seed: 9 });
    const answers: string[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      answers.push(await ask(portal, 'WI/congressional'));
      for (const other of others) await ask(portal, other);
    }
    asked.push(answers);
  }
  expect(asked[0]).toEqual(asked[1]);
  expect(new Set(asked[0]).size).toBeGreaterThan(2);
});

test('a page is at most as long as the portal permits, and says when there is more', async () => {
  const portal = await open({ districts: 5, maxRecordCount: 3 });
  const page = async (offset: number): Promise<unknown> =>
    (
      await fetch(
        `${portal.endpoint('WI', 'state_house')}/query?resultRecordCount=9&resultOffset=${offset}`,
      )
    ).json();
  expect(await page(0)).toMatchObject({
    features: [{ id: 1 }, { id: 2 }, { id: 3 }],
    properties: { exceededTransferLimit: true },
  });
  expect(await page(3)).toEqual({
    type: 'FeatureCollection',
    features: [expect.objectContaining({ id: 4 }), expect.objectContaining({ id: 5 })],
  });
  expect(await ask(portal, 'WI/state_house', '&resultOffset=-1')).toContain('"code":400');
  expect(await ask(portal, 'WI/state_house', '&returnCountOnly=true')).toBe('200 {"count":5}');
});

test('the fixture of boundaries is what the generator draws', async () => {
  const text = await readFile(
    new URL('../../../../fixtures/boundaries/districts.json', import.meta.url),
    'utf8',
  );
  const { features }: { features: unknown } = JSON.parse(text);
  const drawn = portalDistricts('WI', 'congressional', { count: 12, seed: 1, broken: 4 });
  expect(features).toEqual(JSON.parse(JSON.stringify(drawn)));
  expect(new Set(portalStates).size).toBe(50);
});

test('a gateway serves its blocks, and fails as it is set to', async () => {
  const block = Buffer.from('block');
  const gateway = await createIpfsGateway({ blocks: new Map([['bafy', block]]), slowMs: 1 });
  opened.push(gateway);
  const get = async (): Promise<string> =>
    fetch(`${gateway.url}/ipfs/bafy?format=raw`).then(
      async (response) => `${response.status} ${await response.text().catch(() => 'cut')}`,
      () => 'no answer',
    );
  expect(await get()).toBe('200 block');
  const seen: Record<string, string> = {};
  for (const mode of ['slow', 'corrupt', 'error', 'throttled', 'cut'] as const) {
    gateway.setMode(mode);
    seen[mode] = await get();
  }
  expect(seen).toMatchObject({ slow: '200 block', error: '502 Bad Gateway', throttled: '429 ' });
  expect(seen['corrupt']).toMatch(/^200 (?!block).{5}$/);
  expect(seen['cut']).toMatch(/cut|no answer/);
  expect((await fetch(`${gateway.url}/ipfs/other`)).ok).toBe(false);
  expect(gateway.requests()).toBe(7);
});
