import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { IPFSSyncService, type IPFSSyncOptions } from '@holdfast/atlas';
import {
  type IpfsGatewayMode,
  type IpfsGatewayServer,
  createIpfsGateway,
} from '@holdfast/emulators/atlas';
import { CID } from 'multiformats/cid';
import { grid } from '../districts.ts';
import { type Dag, dagOf, dagPbOf, fileBlock } from './dag.ts';

const snapshot = { type: 'FeatureCollection', features: grid(5, 4).features };
const content = Buffer.from(JSON.stringify(snapshot));
const small = dagOf(content);
const large = dagOf(content, 256, 4);

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close();
});

async function gateway(mode: IpfsGatewayMode, { blocks }: Dag = large): Promise<IpfsGatewayServer> {
  const server = await createIpfsGateway({ blocks, mode, slowMs: 20 });
  opened.push(server);
  return server;
}

function serviceOf(
  gateways: readonly IpfsGatewayServer[],
  options: IPFSSyncOptions = {},
): IPFSSyncService {
  const service = new IPFSSyncService({
    gateways: gateways.map(({ url }) => url),
    fetch: (url, { headers, signal }) => fetch(url, { headers, signal }),
    retry: { maxAttempts: 1 },
    blockTimeoutMs: 15_000,
    ...options,
  });
  opened.push(service);
  return service;
}

test.each([
  ['one raw block', small],
  ['many blocks on several levels', large],
])('a snapshot of %s arrives as it is', async (_name, dag) => {
  const service = serviceOf([await gateway('ok', dag)]);
  expect(await service.syncSnapshot(dag.cid)).toEqual(snapshot);
});

test('the block that ipfs writes for "hello world" is read as the file that it is', async () => {
  const cid = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o';
  const text = Buffer.from('hello world\n');
  const inner = Buffer.concat([Buffer.from([8, 2, 18, 12]), text, Buffer.from([24, 12])]);
  const block = Buffer.concat([Buffer.from([10, inner.byteLength]), inner]);
  const service = serviceOf([await gateway('ok', { cid, blocks: new Map([[cid, block]]) })]);
  await expect(
    service.downloadWithFallback(cid, [service.getGatewayStats()[0]?.url ?? '']),
  ).rejects.toMatchObject({
    code: 'ATLAS_SNAPSHOT_INVALID',
    message: expect.stringContaining('is no JSON'),
  });
});

test.each(['slow', 'corrupt', 'error', 'throttled', 'hung', 'cut'] as const)(
  'behind a gateway that is %s the next one serves the snapshot, and what is served is right',
  async (mode) => {
    const first = await gateway(mode);
    const second = await gateway('ok');
    const service = serviceOf([first, second], mode === 'hung' ? { blockTimeoutMs: 3_000 } : {});
    expect(await service.syncSnapshot(large.cid)).toEqual(snapshot);
    expect(first.requests()).toBeGreaterThan(0);
  },
);

test.each([
  ['one raw block', small],
  ['many blocks', large],
])(
  'a gateway that is corrupt is never served, also where there is no other: %s',
  async (_name, dag) => {
    const only = await gateway('corrupt', dag);
    const service = serviceOf([only]);
    expect(await service.syncSnapshot(dag.cid)).toBeNull();
    await expect(service.downloadWithFallback(dag.cid, [only.url])).rejects.toMatchObject({
      code: 'NETWORK_GATEWAYS_FAILED',
      cause: { code: 'NETWORK_CONTENT_MISMATCH' },
    });
  },
);

test('the circuit of a gateway that fails opens, and it is not asked for each further block', async () => {
  const first = await gateway('error');
  const second = await gateway('ok');
  const service = serviceOf([first, second], {
    circuitBreaker: { failureThreshold: 3 },
    blockConcurrency: 1,
  });
  expect(await service.syncSnapshot(large.cid)).toEqual(snapshot);
  expect(first.requests()).toBe(3);
  const [failed, working] = service.getGatewayStats();
  expect(failed?.circuit.state).toBe('open');
  expect(working?.circuit.state).toBe('closed');
  expect(service.getHealthState().level).toBe('degraded');
});

test('when all gateways fail, a sync has no snapshot and a download says so', async () => {
  const gateways = [await gateway('error'), await gateway('corrupt')];
  const service = serviceOf(gateways);
  expect(await service.syncSnapshot(large.cid)).toBeNull();
  const urls = gateways.map(({ url }) => url);
  await expect(service.downloadWithFallback(large.cid, urls)).rejects.toMatchObject({
    code: 'NETWORK_GATEWAYS_FAILED',
  });
});

test('a download tries the gateways that it is given, in their order', async () => {
  const first = await gateway('ok');
  const second = await gateway('ok');
  const service = serviceOf([await gateway('error')]);
  const found = await service.downloadWithFallback(large.cid, [first.url, second.url]);
  expect(found).toEqual(snapshot);
  expect([first.requests() > 0, second.requests()]).toEqual([true, 0]);
});

test('a sync that was interrupted goes on with the blocks that it has, and a damaged one is fetched anew', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hf-ipfs-'));
  try {
    const [root = ''] = [...large.blocks.keys()].slice(-1);
    const half = new Map([...large.blocks].slice(0, large.blocks.size / 2));
    half.set(root, large.blocks.get(root) ?? new Uint8Array());
    for (const [cid, block] of large.blocks) if (block.length < 256) half.set(cid, block);
    const partial = await gateway('ok', { cid: large.cid, blocks: half });
    const service = serviceOf([partial], { directory });
    expect(await service.syncSnapshot(large.cid)).toBeNull();
    const stored = await readdir(directory);
    expect(stored.length).toBeGreaterThan(0);
    await writeFile(join(directory, stored[0] ?? ''), 'damaged');
    const whole = await gateway('ok');
    expect(await service.downloadWithFallback(large.cid, [whole.url])).toEqual(snapshot);
    const names = new Set(large.blocks.keys());
    expect(whole.requests()).toBe(names.size - stored.length + 1);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a name that cannot be verified is refused before anything is asked for', async () => {
  const only = await gateway('ok');
  const service = serviceOf([only]);
  const dagCbor = CID.createV1(0x71, CID.parse(small.cid).multihash).toString();
  for (const cid of ['no-cid', '../../etc/passwd', dagCbor]) {
    await expect(service.syncSnapshot(cid)).rejects.toMatchObject({
      code: 'ATLAS_CID_UNSUPPORTED',
    });
  }
  expect(only.requests()).toBe(0);
});

test('sound blocks that are no snapshot are refused, and no gateway is blamed', async () => {
  const directory = dagPbOf(fileBlock([], 1));
  const lying = dagPbOf(fileBlock([{ cid: CID.parse(small.cid), size: 7 }]));
  for (const [cid, block] of small.blocks) lying.blocks.set(cid, block);
  const cut = dagPbOf(Buffer.from([10, 200, 1]));
  const noList = dagOf(Buffer.from('{"a":1}'));
  const noDistrict = dagOf(Buffer.from('{"features":[{"type":"Feature","geometry":null}]}'));
  for (const dag of [directory, lying, cut, noList, noDistrict]) {
    const only = await gateway('ok', dag);
    const service = serviceOf([only], { retry: { maxAttempts: 3, initialDelayMs: 1 } });
    await expect(service.downloadWithFallback(dag.cid, [only.url])).rejects.toMatchObject({
      code: 'ATLAS_SNAPSHOT_INVALID',
    });
    expect(only.requests()).toBe(dag.blocks.size);
  }
});

test('bytes, blocks and syncs are bounded', async () => {
  const only = await gateway('ok');
  for (const bound of [{ maxBytes: 300 }, { maxBlocks: 3 }]) {
    const service = serviceOf([only], bound);
    await expect(service.downloadWithFallback(large.cid, [only.url])).rejects.toMatchObject({
      code: 'ATLAS_SNAPSHOT_INVALID',
    });
  }
  const hung = await gateway('hung');
  const service = serviceOf([hung], {
    bulkhead: { maxConcurrent: 1, maxQueueSize: 0 },
    blockTimeoutMs: 300,
  });
  const running = service.downloadWithFallback(large.cid, [hung.url]);
  await expect(service.downloadWithFallback(large.cid, [hung.url])).rejects.toMatchObject({
    code: 'RESILIENCE_BULKHEAD_FULL',
  });
  await expect(running).rejects.toMatchObject({ code: 'RESILIENCE_RETRY_EXHAUSTED' });
});

test('an abort ends a sync at once, with its own reason', async () => {
  const hung = await gateway('hung');
  const stop = new AbortController();
  const syncing = serviceOf([hung]).syncSnapshot(large.cid, { signal: stop.signal });
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(syncing).rejects.toBe(reason);
});
