import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { honoursServerContract } from '../../src/contract.ts';
import { type Stage, openStage } from '../../src/stage.ts';
import { openEsimGo } from './program-contracts.ts';

honoursServerContract(() => openEsimGo('local'), { kills: 2 });

let stage: Stage<{ esimGo: { rows: number; rateLimit: { requests: number } } }>;
beforeAll(async () => {
  stage = await openStage({ mode: 'local', esimGo: { rows: 100, rateLimit: { requests: 1_000 } } });
});
afterAll(() => stage.close());

async function page(query: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const headers = { 'x-api-key': stage.esimGo.apiKey };
  const response = await fetch(`${stage.esimGo.url}/v2.5/catalogue?${query}`, { headers });
  return { status: response.status, body: await response.json() };
}

test('faults, options and bundles survive a kill, and requests are counted since the start', async () => {
  const { esimGo } = stage;
  const first = await page('perPage=3');
  expect(first).toMatchObject({ status: 200, body: { rows: 100, pageSize: 3 } });
  await esimGo.setFaults([{ page: 2, fault: { kind: 'status', status: 502 } }]);
  await esimGo.change({ envelope: 'array' });
  expect((await page('page=2')).status).toBe(502);
  expect(await esimGo.requests()).toMatchObject([{ status: 200 }, { status: 502, page: 2 }]);
  await esimGo.kill();
  await esimGo.start();
  expect((await page('page=2')).status).toBe(502);
  expect((await page('page=1&perPage=1')).body).toHaveLength(1);
  const stats = await esimGo.stats();
  expect(stats).toMatchObject({ requests: { catalogue: 2 }, rateLimit: { tokens: 2, refused: 0 } });
  await esimGo.setFaults([]);
  await esimGo.change({ envelope: 'object' });
  expect(await page('perPage=3')).toEqual(first);
});

test('what is out of its range is refused by name before the server is asked', async () => {
  const { esimGo } = stage;
  await expect(esimGo.change({ rows: -1 })).rejects.toMatchObject({ field: 'rows' });
  const unknown: object = { kind: 'explode' };
  const faults = [{ fault: Object.assign({ kind: 'silent' as const }, unknown) }];
  await expect(esimGo.setFaults(faults)).rejects.toMatchObject({ field: 'faults[0].fault.kind' });
  await expect(openStage({ mode: 'local', esimGo: { seed: -1 } })).rejects.toMatchObject({
    field: 'esimGo.seed',
  });
});
