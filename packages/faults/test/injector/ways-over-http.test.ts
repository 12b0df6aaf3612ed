import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  S3,
  S3Client,
  paginateListObjectsV2,
  waitUntilObjectExists,
} from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { type SupabaseClient, createClient } from '@supabase/supabase-js';
import { create } from 'axios';
import { closeAfterTest } from '../close-after-test.ts';
import { portOf } from '../servers.ts';
import { methodsOf, struck } from './ways.ts';

interface Stand {
  readonly chaos: ChaosFaultInjector;
  readonly url: string;
  readonly asked: string[];
}

/** A server that answers every request, and an injector that fails every call. */
async function stand(): Promise<Stand> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const isS3 = request.url?.startsWith('/bucket') === true;
    response.setHeader('content-type', isS3 ? 'application/xml' : 'application/json');
    response.end(isS3 ? '<ListBucketResult><Name>bucket</Name></ListBucketResult>' : '[]');
    request.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closeAfterTest({
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  });
  const chaos = createChaosFaultInjector(true, { seed: 7 });
  chaos.configureFault('network_failure');
  return { chaos, url: `http://127.0.0.1:${portOf(server)}`, asked };
}

const supabaseWays: Record<string, (client: SupabaseClient) => PromiseLike<unknown>> = {
  select: (client) => client.from('rows').select('*').eq('id', 1).limit(1).retry(false),
  single: (client) => client.from('rows').select().single().retry(false),
  insert: (client) => client.from('rows').insert({ id: 1 }).select(),
  update: (client) => client.from('rows').update({ id: 2 }).eq('id', 1),
  upsert: (client) => client.from('rows').upsert({ id: 1 }),
  delete: (client) => client.from('rows').delete().eq('id', 1),
  rpc: (client) => client.rpc('sum', { a: 1 }),
  'of a schema': (client) => client.schema('other').from('rows').select().retry(false),
  'storage.upload': (client) => client.storage.from('bucket').upload('a', Buffer.from('a')),
  'storage.download': (client) => client.storage.from('bucket').download('a'),
  'storage.list': (client) => client.storage.from('bucket').list(),
  'storage.remove': (client) => client.storage.from('bucket').remove(['a']),
  'storage.createSignedUrl': (client) => client.storage.from('bucket').createSignedUrl('a', 60),
  'storage.listBuckets': (client) => client.storage.listBuckets(),
  'auth.signInWithPassword': (client) =>
    client.auth.signInWithPassword({ email: 'a@b.c', password: 'secret' }),
  'auth.signUp': (client) => client.auth.signUp({ email: 'a@b.c', password: 'secret' }),
  'auth.admin.listUsers': (client) => client.auth.admin.listUsers(),
  'functions.invoke': (client) => client.functions.invoke('hello'),
};

test.each(Object.keys(supabaseWays))(
  'supabase-js is struck by its fetch: %s',
  async (name) => {
    const { chaos, url, asked } = await stand();
    const client = createClient(url, 'key', {
      global: { fetch: chaos.fetch() },
      auth: { persistSession: false, autoRefreshToken: false },
    });
    const outcome: any = await Promise.resolve(supabaseWays[name]?.(client)).catch(
      (error: unknown) => ({ error }),
    );
    expect(outcome.error).not.toBeNull();
    expect(outcome.error).toBeDefined();
    expect(asked).toEqual([]);
    expect(chaos.getStats().injected.network_failure).toBeGreaterThan(0);
    chaos.clear();
    await Promise.resolve(supabaseWays[name]?.(client)).catch(() => {});
    expect(asked.length).toBeGreaterThan(0);
  },
  30_000,
);

/** Ways of an S3 client that send nothing. */
const ofAws = new Set([
  'destroy',
  'send',
  'getDefaultHttpAuthSchemeParametersProvider',
  'getIdentityProviderConfigProvider',
]);

const s3Ways: Record<string, (client: S3) => Promise<unknown>> = {
  send: (client) => client.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'a' })),
  'send with a callback': (client) =>
    new Promise((resolve, reject) => {
      client.send(new ListObjectsV2Command({ Bucket: 'bucket' }), (error: unknown, data: unknown) =>
        error ? reject(error) : resolve(data),
      );
    }),
  'a method of the aggregated client': (client) => client.listObjectsV2({ Bucket: 'bucket' }),
  'a paginator': async (client) => {
    for await (const page of paginateListObjectsV2({ client }, { Bucket: 'bucket' })) return page;
    return undefined;
  },
  'a paginator of the aggregated client': async (client) => {
    for await (const page of client.paginateListObjectsV2({ Bucket: 'bucket' })) return page;
    return undefined;
  },
  'a waiter': (client) =>
    waitUntilObjectExists(
      { client, minDelay: 1, maxDelay: 1, maxWaitTime: 2 },
      { Bucket: 'bucket', Key: 'a' },
    ),
};

test.each(Object.keys(s3Ways))(
  'client-s3 is struck: %s',
  async (name) => {
    const { chaos, url, asked } = await stand();
    const raw = new S3({
      endpoint: url,
      region: 'here',
      forcePathStyle: true,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    const client = chaos.wrapAws(raw);
    expect(client).toBeInstanceOf(S3Client);
    // A waiter tells its own time out in place of the failures.
    const failure = name === 'a waiter' ? { name: 'TimeoutError' } : struck;
    await expect(s3Ways[name]?.(client)).rejects.toMatchObject(failure);
    expect(asked).toEqual([]);
    chaos.clear();
    await s3Ways[name]?.(client);
    expect(asked.length).toBeGreaterThan(0);
    raw.destroy();
  },
  30_000,
);

test('every method of an S3 client sends by `send`, or is in a table', async () => {
  const { chaos, url } = await stand();
  const raw = new S3({
    endpoint: url,
    region: 'here',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  const client: any = chaos.wrapAws(raw);
  const names = [...methodsOf(raw)].filter((name) => !ofAws.has(name));
  expect(names.length).toBeGreaterThan(90);
  for (const name of names.filter((one) => !/^paginate|^waitUntil/.test(one))) {
    await expect(client[name]({})).rejects.toMatchObject(struck);
  }
  raw.destroy();
}, 60_000);

test('axios is struck by the fetch of its adapter', async () => {
  const { chaos, url, asked } = await stand();
  const client = create({
    baseURL: url,
    adapter: 'fetch',
    env: { fetch: chaos.fetch() },
  });
  for (const call of [
    () => client.get('/a'),
    () => client.post('/a', {}),
    () => client.request({ url: '/a' }),
  ]) {
    await expect(call()).rejects.toMatchObject({ name: 'AxiosError' });
  }
  expect(asked).toEqual([]);
  chaos.clear();
  expect((await client.get('/a')).status).toBe(200);
});
