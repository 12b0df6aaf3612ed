import { setImmediate } from 'node:timers/promises';
import { createFakeClock } from '@holdfast/foundation/testing';
import { expect, test } from '@jest/globals';
import type { ServerFault } from '../../src/serving/call-faults.ts';
import { createSupabaseStorageServer } from '../../src/supabase/storage-server.ts';
import { storageOf, storageError, withSupabase } from './supabase-client.ts';

test('a token of another server is rejected as 403 inside HTTP 400', async () => {
  await withSupabase({}, async ({ connect, server }) => {
    const { serviceRoleKey: key } = server;
    const forged = `${key.slice(0, -4)}AAAA`;
    const expired = server.signToken({ role: 'service_role', exp: 1 });
    const nobody = server.signToken({ role: 'nobody' });
    for (const token of [forged, 'no token', expired, nobody]) {
      const files = connect(token).from('bucket');
      expect((await files.upload('key', 'x')).error).toEqual(storageError('AccessDenied', 403));
      await expect(files.exists('key')).rejects.toMatchObject({ code: 'AccessDenied' });
    }
  });
});

test('an anonymous client writes nothing, sees nothing private, and reads public objects', async () => {
  await withSupabase({}, async ({ connect, server, storage, files }) => {
    await files.upload('key', 'secret');
    await storage.createBucket('open', { public: true });
    await storage.from('open').upload('key', 'public');
    const anon = connect(server.anonKey);
    expect((await anon.from('bucket').upload('new', 'x')).error).toEqual(
      storageError('AccessDenied', 403),
    );
    expect((await anon.from('bucket').download('key')).error).toMatchObject({ status: 400 });
    expect((await anon.from('bucket').info('key')).error).toEqual(storageError('NoSuchKey', 404));
    expect((await anon.from('bucket').list()).data).toEqual([]);
    expect((await anon.from('bucket').remove(['key'])).data).toEqual([]);
    expect((await anon.createBucket('mine')).error).toEqual(storageError('AccessDenied', 403));
    expect((await anon.listBuckets()).data).toEqual([]);
    const { publicUrl } = anon.from('open').getPublicUrl('key').data;
    expect(await (await fetch(publicUrl)).text()).toBe('public');
    const hidden = await fetch(anon.from('bucket').getPublicUrl('key').data.publicUrl);
    expect([hidden.status, await hidden.json()]).toMatchObject([400, { code: 'NoSuchBucket' }]);
  });
});

test('a policy allows a role only the actions that it names', async () => {
  const policies = [
    { role: 'authenticated', bucket: 'bucket', keyPrefix: 'own/', actions: ['select', 'insert'] },
  ] as const;
  await withSupabase({ policies }, async ({ connect, server }) => {
    const user = connect(server.signToken({ role: 'authenticated', sub: 'u' })).from('bucket');
    expect((await user.upload('own/key', 'x')).error).toBeNull();
    expect((await user.upload('own/key', 'y', { upsert: true })).error).toEqual(
      storageError('AccessDenied', 403),
    );
    expect((await user.upload('key', 'x')).error).toEqual(storageError('AccessDenied', 403));
    expect(await (await user.download('own/key')).data?.text()).toBe('x');
    expect((await user.remove(['own/key'])).data).toEqual([]);
  });
});

test('an upsert takes the right to read its row, also where nothing is replaced', async () => {
  const policies = [{ role: 'authenticated', actions: ['insert', 'update'] }] as const;
  await withSupabase({ policies }, async ({ connect, server }) => {
    const user = connect(server.signToken({ role: 'authenticated', sub: 'u' })).from('bucket');
    expect((await user.upload('key', 'x', { upsert: true })).error).toEqual(
      storageError('AccessDenied', 403),
    );
    expect((await user.upload('key', 'x')).error).toBeNull();
    expect((await user.upload('key', 'y')).error).toEqual(storageError('KeyAlreadyExists', 409));
  });
});

test('a permission can be revoked from the service role and restored while the server runs', async () => {
  await withSupabase({}, async ({ files, server }) => {
    server.setFaults({ policies: [{ effect: 'deny', actions: ['insert', 'update'] }] });
    expect((await files.upload('key', 'x')).error).toEqual(storageError('AccessDenied', 403));
    expect((await files.list()).error).toBeNull();
    server.setFaults({});
    expect((await files.upload('key', 'x')).error).toBeNull();
    server.setFaults({ policies: [{ effect: 'deny', actions: ['select'] }] });
    expect((await files.info('key')).error).toEqual(storageError('AccessDenied', 403));
  });
});

test('a read-only database rejects writes as 503 inside HTTP 400, and reads succeed', async () => {
  await withSupabase({}, async ({ files, server }) => {
    await files.upload('key', 'x');
    server.setFaults({ readOnly: true });
    for (const answer of [
      await files.upload('new', 'x'),
      await files.update('key', 'y'),
      await files.remove(['key']),
      await files.move('key', 'other'),
      await files.copy('key', 'other'),
    ]) {
      expect(answer.error).toEqual(storageError('DatabaseReadOnly', 503));
    }
    expect(await (await files.download('key')).data?.text()).toBe('x');
    server.setFaults({ readOnly: false });
    expect((await files.upload('new', 'x')).error).toBeNull();
  });
});

test('a database that is down is a 500, and a frozen one a 544 after the timeout', async () => {
  const clock = createFakeClock();
  await withSupabase({ clock }, async ({ files, server }) => {
    server.setFaults({ database: 'down' });
    expect((await files.upload('key', 'x')).error).toEqual(storageError('InternalError', 500, 500));
    server.setFaults({ database: 'frozen' });
    const { error } = await clock.settle(files.upload('key', 'x'));
    expect(error).toEqual(storageError('DatabaseTimeout', 544, 544));
    expect(clock.now()).toBe(3_000);
    server.setFaults({});
    expect((await files.upload('key', 'x')).error).toBeNull();
  });
});

test('a client that disconnects from a frozen database leaves no timer', async () => {
  const clock = createFakeClock();
  await withSupabase({ clock }, async ({ server }) => {
    server.setFaults({ database: 'frozen' });
    const leaving = new AbortController();
    const authorization = `Bearer ${server.serviceRoleKey}`;
    const response = fetch(`${server.url}/storage/v1/bucket`, {
      headers: { authorization },
      signal: leaving.signal,
    });
    const outcome = response.catch(() => 'left');
    await untilTrue(() => clock.pendingTimers === 1);
    leaving.abort();
    expect(await outcome).toBe('left');
    await untilTrue(() => clock.pendingTimers === 0);
    expect(clock.pendingTimers).toBe(0);
  });
});

async function untilTrue(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !isTrue(); turn += 1) await setImmediate();
}

test('a signed URL is valid until it expires, and only for its object', async () => {
  const clock = createFakeClock();
  await withSupabase({ clock }, async ({ files }) => {
    await files.upload('dir/a b', 'x');
    const { signedUrl = '' } = (await files.createSignedUrl('dir/a b', 60)).data ?? {};
    expect(await (await fetch(signedUrl)).text()).toBe('x');
    const named = await files.createSignedUrl('dir/a b', 60, { download: 'name.txt' });
    const saved = await fetch(named.data?.signedUrl ?? '');
    expect(saved.headers.get('content-disposition')).toContain('name.txt');
    const other = await fetch(signedUrl.replace('a%20b', 'c'));
    expect([other.status, await other.json()]).toMatchObject([400, { code: 'InvalidSignature' }]);
    await clock.advance(61_000);
    const late = await fetch(signedUrl);
    expect([late.status, await late.json()]).toMatchObject([400, { code: 'InvalidJWT' }]);
    expect((await files.createSignedUrl('none', 60)).error).toEqual(storageError('NoSuchKey', 404));
    const many = (await files.createSignedUrls(['dir/a b', 'none'], 60)).data;
    expect(many).toMatchObject([
      { path: 'dir/a b', error: null },
      { path: 'none', signedUrl: null, error: expect.stringContaining('does not exist') },
    ]);
  });
});

test('a signed upload token allows one upload, or several with upsert', async () => {
  await withSupabase({}, async ({ files, connect, server }) => {
    const anon = connect(server.anonKey).from('bucket');
    const { token = '' } = (await files.createSignedUploadUrl('key')).data ?? {};
    expect((await anon.uploadToSignedUrl('key', token, 'one')).data).toMatchObject({
      fullPath: 'bucket/key',
    });
    expect((await anon.uploadToSignedUrl('key', token, 'two')).error).toEqual(
      storageError('KeyAlreadyExists', 409),
    );
    expect((await anon.uploadToSignedUrl('other', token, 'x')).error).toEqual(
      storageError('InvalidSignature', 400),
    );
    const again = await files.createSignedUploadUrl('key', { upsert: true });
    await anon.uploadToSignedUrl('key', again.data?.token ?? '', 'three');
    expect(await (await files.download('key')).data?.text()).toBe('three');
  });
});

test('a fault is injected before or after the operation', async () => {
  let fault: ServerFault | undefined;
  const faults = ({ operation }: { operation: string }): ServerFault | undefined =>
    operation === 'upload' ? fault : undefined;
  await withSupabase({ faults }, async ({ files, server }) => {
    fault = { kind: 'error', status: 429, code: 'SlowDown', retryAfterS: 7 };
    const headers = { authorization: `Bearer ${server.serviceRoleKey}` };
    const address = `${server.url}/storage/v1/object/bucket/a`;
    const tooMany = await fetch(address, { method: 'POST', headers, body: 'x' });
    expect([tooMany.status, tooMany.headers.get('retry-after')]).toEqual([429, '7']);
    fault = { kind: 'reset', when: 'after' };
    expect((await files.upload('b', 'x')).error).toMatchObject({ name: 'StorageUnknownError' });
    fault = undefined;
    const there = await Promise.all(['a', 'b'].map(async (key) => (await files.exists(key)).data));
    expect(there).toEqual([false, true]);
    expect(server.getStats().requests['upload']).toBe(2);
  });
});

test.each([
  [{ jwtSecret: 'short' }, 'jwtSecret'],
  [{ port: -1 }, 'port'],
  [{ policies: [{ actions: ['drop'] }] }, 'policies[0].actions[0]'],
  [{ policies: [{ actions: [], roles: [] }] }, 'policies[0].roles'],
  [{ secret: 'x' }, 'secret'],
])('the options %j are rejected with an error that names %s', async (options, field) => {
  const wrong: object = options;
  await expect(createSupabaseStorageServer(wrong)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field,
  });
});

test('close is idempotent', async () => {
  const server = await createSupabaseStorageServer();
  const { url, serviceRoleKey } = server;
  await Promise.all([server.close(), server.close()]);
  await server[Symbol.asyncDispose]();
  const { error } = await storageOf(url, serviceRoleKey).listBuckets();
  expect(error).toMatchObject({ name: 'StorageUnknownError' });
});
