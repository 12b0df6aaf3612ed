import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent as HttpAgent, get } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, expect, test } from '@jest/globals';
import { createDatabase } from '@holdfast/database';
import { createQueueAdapter } from '@holdfast/queue';
import { type Stage, type StageOptions, openStage } from '@holdfast/stage';
import { createStorage, s3Backend } from '@holdfast/storage';
import { createS3Server } from '@holdfast/emulators';
import { Agent, request } from 'undici';
import { type MovingServer, openMovingServer } from '../../../src/network/moving-server.ts';
import { type WaitProgress, waitUntilDone } from '../../../src/wait-until.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function opened<Options extends StageOptions>(options: Options): Promise<Stage<Options>> {
  const stage = await openStage(options);
  cleanups.push(() => stage.close());
  return stage;
}

async function moving(target: { host: string; port: number }): Promise<MovingServer> {
  const server = await openMovingServer(target);
  cleanups.push(() => server.close());
  return server;
}

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-names-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Calls `work` one after the other, moves the server in the middle, and returns what failed. */
async function aroundMove(
  server: MovingServer,
  work: (call: number) => Promise<unknown>,
): Promise<unknown[]> {
  const failures: unknown[] = [];
  let calls = 0;
  const run = async (until: () => boolean): Promise<void> => {
    while (!until()) {
      calls += 1;
      await work(calls).catch((error: unknown) => failures.push(error));
    }
  };
  await run(() => calls >= 20);
  expect(server.connectionsAfterMove()).toBe(0);
  await server.move();
  const before = calls;
  await run(() => server.connectionsAfterMove() > 0 && calls >= before + 20);
  return failures;
}

test('the clients of Node and undici connect by the resolver', async () => {
  const { upstream } = await opened({ upstream: { routes: [{ path: '/', body: 'hello' }] } });
  const { resolver, hostname, port } = await moving(upstream);
  const { lookup } = resolver;
  const socket = connect({ host: hostname, port, lookup });
  await once(socket, 'connect');
  expect(socket.remoteAddress).toBe('127.0.0.2');
  socket.destroy();
  const url = `http://${hostname}:${port}/`;
  const agent = new HttpAgent({ lookup });
  const [response] = await once(get(url, { agent }), 'response');
  expect(await text(response)).toBe('hello');
  const dispatcher = new Agent({ connect: { lookup } });
  cleanups.push(() => dispatcher.destroy());
  const { body } = await request(url, { dispatcher });
  expect(await body.text()).toBe('hello');
  expect(resolver.getStats().hits).toBeGreaterThan(0);
  const unknown = get('http://unknown.test/', { agent });
  const [error] = await once(unknown, 'error');
  expect(error).toMatchObject({ code: 'ENOTFOUND', hostname: 'unknown.test' });
});

test('a queue follows Redis to another address, and no job is lost', async () => {
  const { redis } = await opened({ redis: true });
  const server = await moving(redis);
  const { resolver, hostname, port } = server;
  const queue = createQueueAdapter({
    redis: { url: `redis://${hostname}:${port}`, lookup: resolver.lookup },
    fallback: { journal: { directory: await temporaryDirectory() } },
  });
  cleanups.push(() => queue.close());
  const handled: number[] = [];
  queue.process('jobs', async (job) => void handled.push(Number(job.payload)));
  const accepted: number[] = [];
  const failures = await aroundMove(server, async (job) => {
    await queue.enqueue('jobs', job);
    accepted.push(job);
  });
  expect(failures).toEqual([]);
  const look = (): WaitProgress => ({
    isDone: handled.length >= accepted.length,
    mark: handled.length,
  });
  await waitUntilDone(look, () => `${handled.length} of ${accepted.length} jobs are handled`);
  expect(handled.toSorted((one, other) => one - other)).toEqual(accepted);
});

test('a database follows Postgres to another address, and no call is lost', async () => {
  const { postgres } = await opened({ postgres: true, link: false });
  const server = await moving(postgres.primary);
  const url = new URL(postgres.primary.url);
  url.host = `${server.hostname}:${server.port}`;
  const database = createDatabase({ hosts: url.href, lookup: server.resolver.lookup });
  cleanups.push(() => database.close());
  const failures = await aroundMove(server, async (call) => {
    const { rows } = await database.query('select $1::int as call', [call], { idempotent: true });
    expect(rows).toEqual([{ call }]);
  });
  expect(failures).toEqual([]);
});

test('a storage follows S3 to another address, and no write is lost', async () => {
  const s3 = await createS3Server();
  cleanups.push(() => s3.close());
  const server = await moving(s3);
  const { lookup } = server.resolver;
  const client = new S3Client({
    endpoint: `http://${server.hostname}:${server.port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: s3.credentials,
    requestHandler: { httpAgent: new HttpAgent({ keepAlive: true, lookup }) },
  });
  cleanups.push(() => client.destroy());
  await client.send(new CreateBucketCommand({ Bucket: 'objects' }));
  const storage = createStorage({
    backends: [s3Backend({ client, bucket: 'objects' })],
    journal: { directory: await temporaryDirectory() },
  });
  cleanups.push(() => storage.close());
  const written: string[] = [];
  const failures = await aroundMove(server, async (call) => {
    await storage.upload(`object-${call}`, `body ${call}`);
    written.push(`object-${call}`);
  });
  expect(failures).toEqual([]);
  for (const [at, key] of written.entries()) {
    const download = await storage.download(key);
    expect(Buffer.from(await download.bytes()).toString()).toBe(`body ${at + 1}`);
  }
});
