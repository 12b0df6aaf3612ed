import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { openStage } from '../../src/stage.ts';
import {
  createGateway,
  parseGatewayRoutes,
  parseSupabaseSettings,
} from '@holdfast/emulators/programs';
import { storageApiEnv } from '../../src/servers/supabase/storage-api.ts';
import { createSupabaseStorageServer } from '@holdfast/emulators';
import { storageOf, storageError } from './supabase-requests.ts';

/** A gateway before a service, both in this process. */
async function gatewayBefore(service: string) {
  const gateway = createGateway({ '/storage/v1': service });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const address = gateway.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      gateway.closeAllConnections();
      await new Promise((resolve) => void gateway.close(resolve));
    },
  };
}

async function listening(answer: RequestListener) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close() };
}

test('a client reaches Storage through the gateway, resumable uploads too', async () => {
  const server = await createSupabaseStorageServer();
  const gateway = await gatewayBefore(`http://${server.host}:${server.port}`);
  try {
    const storage = storageOf(gateway.url, server.serviceRoleKey);
    expect((await storage.createBucket('bucket')).error).toBeNull();
    const files = storage.from('bucket');
    expect((await files.upload('a b/c', 'bytes')).error).toBeNull();
    expect(await (await files.download('a b/c')).data?.text()).toBe('bytes');
    expect((await files.upload('a b/c', 'again')).error).toEqual(
      storageError('KeyAlreadyExists', 409),
    );
    const created = await fetch(`${gateway.url}/storage/v1/upload/resumable`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${server.serviceRoleKey}`,
        'tus-resumable': '1.0.0',
        'upload-length': '3',
        'upload-metadata': `bucketName ${btoa('bucket')},objectName ${btoa('large')}`,
      },
    });
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toMatch(
      new RegExp(`^${gateway.url}/storage/v1/upload/resumable/`),
    );
  } finally {
    await gateway.close();
    await server.close();
  }
});

test('the gateway responds 502 for an unreachable service and 404 for an unknown path, and hides its own path', async () => {
  const seen: { url: string; prefix: unknown; body: string }[] = [];
  const service = await listening((incoming, outgoing) => {
    void buffer(incoming).then((bytes) => {
      const prefix = incoming.headers['x-forwarded-prefix'];
      seen.push({ url: incoming.url ?? '', prefix, body: bytes.toString() });
      outgoing.end('done');
    });
  });
  const gateway = await gatewayBefore(service.url);
  const asked = await fetch(`${gateway.url}/storage/v1/object/b?x=1`, {
    method: 'PUT',
    body: 'body',
  });
  expect([asked.status, await asked.text()]).toEqual([200, 'done']);
  expect(seen).toEqual([{ url: '/object/b?x=1', prefix: '/storage/v1', body: 'body' }]);
  expect((await fetch(`${gateway.url}/elsewhere`)).status).toBe(404);
  expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
  service.close();
  expect((await fetch(`${gateway.url}/storage/v1/status`)).status).toBe(502);
  await gateway.close();
});

test('the routes of a gateway are those of its settings, or of the environment of compose', () => {
  expect(parseGatewayRoutes({ '/a': 'http://b:1' }, {})).toEqual({ '/a': 'http://b:1' });
  expect(parseGatewayRoutes(undefined, { STORAGE_URL: 'http://s:5000' })).toEqual({
    '/storage/v1': 'http://s:5000',
  });
  for (const wrong of [undefined, { a: 'http://b:1' }, { '/a': 'nowhere' }, 7]) {
    expect(() => parseGatewayRoutes(wrong, {})).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'routes' }),
    );
  }
});

test('storage-api is configured with the options, by its own variables', () => {
  const settings = parseSupabaseSettings('openStage', {
    jwtSecret: 'a-secret-of-thirty-two-characters',
    maxObjectBytes: 1_000,
    signedUploadExpiryMs: 1_500,
  });
  const at = { host: '127.0.0.1', port: 5_000 };
  expect(storageApiEnv(at, { host: '127.0.0.1', port: 5_432 }, settings)).toMatchObject({
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: '5000',
    DATABASE_URL: 'postgres://postgres@127.0.0.1:5432/postgres',
    AUTH_JWT_SECRET: 'a-secret-of-thirty-two-characters',
    UPLOAD_FILE_SIZE_LIMIT: '1000',
    UPLOAD_SIGNED_URL_EXPIRATION_TIME: '2',
    STORAGE_BACKEND: 'file',
  });
});

const isAsked =
  process.env['HOLDFAST_STAGE'] === 'docker' &&
  process.env['HOLDFAST_IMAGE_SUPABASE_STORAGE'] !== undefined;

if (isAsked) {
  test('in containers a Supabase is a database, storage-api and a gateway, each of which can be broken', async () => {
    const stage = await openStage({ mode: 'docker', supabase: true });
    const { supabase } = stage;
    try {
      const storage = storageOf(supabase.url, supabase.serviceRoleKey);
      expect((await storage.createBucket('bucket')).error).toBeNull();
      const files = storage.from('bucket');
      expect((await files.upload('k', 'bytes')).error).toBeNull();
      const stranger = storageOf(supabase.url, supabase.anonKey).from('bucket');
      expect((await stranger.upload('k2', 'x')).error).toEqual(storageError('AccessDenied', 403));

      await supabase.kill();
      expect((await files.download('k')).error).not.toBeNull();
      await supabase.start();
      await supabase.behind?.storage.kill();
      expect((await files.download('k')).error).toMatchObject({ status: 502 });
      await supabase.behind?.storage.start();
      expect(await (await files.download('k')).data?.text()).toBe('bytes');
      expect(supabase.behind?.database.state).toBe('running');
      await expect(supabase.setFaults({ readOnly: true })).rejects.toMatchObject({
        code: 'STAGE_FAULT_UNSUPPORTED',
      });
    } finally {
      await stage.close();
    }
  });
} else {
  // oxlint-disable-next-line jest/no-disabled-tests -- an engine and images are not part of every machine
  test.skip('a Supabase runs in Docker: runs with HOLDFAST_STAGE=docker and HOLDFAST_IMAGE_SUPABASE_STORAGE', () => {
    expect(isAsked).toBe(true);
  });
}
