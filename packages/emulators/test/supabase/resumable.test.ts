import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeClock } from '@holdfast/foundation/testing';
import { expect, test } from '@jest/globals';
import {
  type SupabaseStorageServer,
  createSupabaseStorageServer,
} from '../../src/supabase/storage-server.ts';
import { storageOf, withSupabase } from './supabase-client.ts';

const version = { 'tus-resumable': '1.0.0' };

function metadataOf(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
    .join(',');
}

async function create(
  { url, serviceRoleKey }: SupabaseStorageServer,
  length: number,
  more: Readonly<Record<string, string>> = {},
  objectName = 'dir/large',
): Promise<Response> {
  const fields = {
    bucketName: 'bucket',
    objectName,
    contentType: 'text/x',
    cacheControl: '60',
    metadata: '{"op":"1"}',
  };
  return fetch(`${url}/storage/v1/upload/resumable`, {
    method: 'POST',
    headers: {
      ...version,
      authorization: `Bearer ${serviceRoleKey}`,
      'upload-length': String(length),
      'upload-metadata': metadataOf(fields),
      ...more,
    },
  });
}

async function ask(
  { serviceRoleKey }: SupabaseStorageServer,
  location: string,
  method: string,
  more: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<Response> {
  const authorization = `Bearer ${serviceRoleKey}`;
  const headers = { ...version, authorization, ...more };
  return fetch(location, { method, headers, ...(body !== undefined && { body }) });
}

function patch(
  server: SupabaseStorageServer,
  location: string,
  offset: number,
  body: string,
): Promise<Response> {
  const more = {
    'upload-offset': String(offset),
    'content-type': 'application/offset+octet-stream',
  };
  return ask(server, location, 'PATCH', more, body);
}

/** A request whose body the test sends itself. */
function slowPatch(
  { serviceRoleKey }: SupabaseStorageServer,
  location: string,
  length: number,
): ClientRequest {
  return request(location, {
    method: 'PATCH',
    headers: {
      ...version,
      authorization: `Bearer ${serviceRoleKey}`,
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
      'content-length': String(length),
    },
  });
}

/** Resolves once the server has received `bytes` more than `before`. */
async function untilReceived(
  server: SupabaseStorageServer,
  before: number,
  bytes: number,
): Promise<void> {
  await untilTrue(async () => {
    await fetch(`${server.url}/status`);
    return server.getStats().receivedBytes >= before + bytes;
  });
}

async function untilTrue(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 5_000; attempt += 1) if (await isTrue()) return;
  throw new Error(`not true after 5 000 times: ${isTrue.toString()}`);
}

test('an upload continues where it stopped and becomes an object with its last byte', async () => {
  await withSupabase({}, async ({ server, files }) => {
    const made = await create(server, 10);
    const location = made.headers.get('location') ?? '';
    expect([made.status, location]).toEqual([
      201,
      expect.stringContaining(`${server.url}/storage/v1/upload/resumable/`),
    ]);
    const first = await patch(server, location, 0, '01234');
    expect([first.status, first.headers.get('upload-offset')]).toEqual([204, '5']);
    expect((await files.exists('dir/large')).data).toBe(false);
    const head = await ask(server, location, 'HEAD');
    expect([head.headers.get('upload-offset'), head.headers.get('upload-length')]).toEqual([
      '5',
      '10',
    ]);
    expect((await patch(server, location, 0, '01234')).status).toBe(409);
    expect((await patch(server, location, 5, '56789')).status).toBe(204);
    expect(await (await files.download('dir/large')).data?.text()).toBe('0123456789');
    expect((await files.info('dir/large')).data).toMatchObject({
      size: 10,
      contentType: 'text/x',
      cacheControl: 'max-age=60',
      metadata: { op: '1' },
    });
    expect((await ask(server, location, 'HEAD')).status).toBe(404);
  });
});

test('bytes that arrived before a connection failed are kept', async () => {
  await withSupabase({}, async ({ server }) => {
    const location = (await create(server, 1_000_000)).headers.get('location') ?? '';
    const before = server.getStats().receivedBytes;
    const broken = slowPatch(server, location, 1_000_000);
    broken.on('error', () => undefined).write('x'.repeat(60_000));
    await untilReceived(server, before, 1);
    broken.destroy();
    // The server may learn of the broken connection a moment later.
    let offset = '0';
    await untilTrue(async () => {
      const head = await ask(server, location, 'HEAD');
      offset = head.headers.get('upload-offset') ?? '0';
      return offset !== '0';
    });
    expect(Number(offset)).toBeLessThanOrEqual(60_000);
    const rest = await patch(
      server,
      location,
      Number(offset),
      'y'.repeat(1_000_000 - Number(offset)),
    );
    expect(rest.headers.get('upload-offset')).toBe('1000000');
  });
});

test('the second of two concurrent requests for one upload finds it locked', async () => {
  await withSupabase({}, async ({ server }) => {
    const location = (await create(server, 20)).headers.get('location') ?? '';
    const before = server.getStats().receivedBytes;
    const slow = slowPatch(server, location, 10);
    const ended = new Promise<number | undefined>((resolve) => {
      slow.once('response', (answer) => resolve(answer.resume().statusCode));
    });
    slow.write('01234');
    await untilReceived(server, before, 5);
    expect((await patch(server, location, 0, 'x')).status).toBe(423);
    slow.end('56789');
    expect(await ended).toBe(204);
    const head = await ask(server, location, 'HEAD');
    expect(head.headers.get('upload-offset')).toBe('10');
  });
});

test('an upload that is not finished in time expires', async () => {
  const clock = createFakeClock();
  await withSupabase({ clock, resumableExpiryMs: 1_000 }, async ({ server }) => {
    const made = await create(server, 10);
    const location = made.headers.get('location') ?? '';
    expect(Date.parse(made.headers.get('upload-expires') ?? '')).toBeGreaterThanOrEqual(
      clock.epochMs(),
    );
    await clock.advance(1_001);
    expect((await ask(server, location, 'HEAD')).status).toBe(410);
    expect((await patch(server, location, 0, '01234')).status).toBe(404);
  });
});

test('an upload can be deleted, and an empty one completes at once', async () => {
  await withSupabase({}, async ({ server, files }) => {
    const location = (await create(server, 10)).headers.get('location') ?? '';
    expect((await ask(server, location, 'DELETE')).status).toBe(204);
    expect((await patch(server, location, 0, 'x')).status).toBe(404);
    expect((await create(server, 0)).status).toBe(201);
    expect((await files.info('dir/large')).data?.size).toBe(0);
  });
});

test('errors of resumable uploads have their own HTTP status, not 400', async () => {
  await withSupabase({ maxObjectBytes: 100 }, async ({ server, files }) => {
    await files.upload('dir/large', 'there');
    expect((await create(server, 10)).status).toBe(409);
    expect((await create(server, 10, { 'x-upsert': 'true' })).status).toBe(201);
    expect((await create(server, 101, {}, 'other')).status).toBe(413);
    expect((await create(server, 10, { authorization: 'Bearer x' }, 'other')).status).toBe(403);
    expect((await create(server, 10, { 'tus-resumable': '0.2' }, 'other')).status).toBe(412);
    const location = (await create(server, 2, {}, 'other')).headers.get('location') ?? '';
    expect((await patch(server, location, 0, 'xyz')).status).toBe(413);
    const untyped = await ask(server, location, 'PATCH', { 'upload-offset': '0' }, 'x');
    expect(untyped.status).toBe(415);
  });
});

test('a signed token permits a resumable upload', async () => {
  await withSupabase({}, async ({ server, files }) => {
    const { token = '' } = (await files.createSignedUploadUrl('signed')).data ?? {};
    const make = (signature: Readonly<Record<string, string>>): Promise<Response> =>
      fetch(`${server.url}/storage/v1/upload/resumable/sign`, {
        method: 'POST',
        headers: {
          ...version,
          'upload-length': '2',
          'upload-metadata': metadataOf({ bucketName: 'bucket', objectName: 'signed' }),
          ...signature,
        },
      });
    expect((await make({})).status).toBe(400);
    const location = (await make({ 'x-signature': token })).headers.get('location') ?? '';
    const headers = {
      ...version,
      'x-signature': token,
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
    };
    const sent = await fetch(location, { method: 'PATCH', headers, body: 'ok' });
    expect(sent.status).toBe(204);
    expect(await (await files.download('signed')).data?.text()).toBe('ok');
  });
});

test('objects and unfinished uploads survive a restart on the same directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-supabase-test-'));
  try {
    let location = '';
    let port = 0;
    await withSupabase({ directory }, async ({ server, files }) => {
      ({ port } = server);
      await files.upload('key', 'kept', { metadata: { op: '1' } });
      location = (await create(server, 10)).headers.get('location') ?? '';
      await patch(server, location, 0, '01234');
    });
    const server = await createSupabaseStorageServer({ directory, port });
    try {
      const files = storageOf(server.url, server.serviceRoleKey).from('bucket');
      expect(await (await files.download('key')).data?.text()).toBe('kept');
      expect((await files.info('key')).data?.metadata).toEqual({ op: '1' });
      expect((await patch(server, location, 5, '56789')).status).toBe(204);
      expect(await (await files.download('dir/large')).data?.text()).toBe('0123456789');
    } finally {
      await server.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
