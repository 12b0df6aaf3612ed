import { describe, expect, test } from '@jest/globals';
import { createClient } from '@supabase/supabase-js';
import { honoursServerContract } from '../../src/contract.ts';
import { probeHttp } from '../../src/servers/emulated/http-probe.ts';
import { openStage } from '../../src/stage.ts';
import { assertLiteIsInstalled } from '@holdfast/emulators/programs';
import { storageOf, storageError } from './supabase-requests.ts';

describe('the Supabase of a stage', () => {
  honoursServerContract(
    async () => {
      const stage = await openStage({ mode: 'local', supabase: true });
      const storage = storageOf(stage.supabase.url, stage.supabase.serviceRoleKey);
      const made = await storage.createBucket('bucket');
      if (made.error !== null) throw made.error;
      const files = storage.from('bucket');
      return {
        server: stage.supabase,
        close: () => stage.close(),
        ping: (signal) => probeHttp(stage.supabase, '/status', signal),
        async store(key, value) {
          const { error } = await files.upload(key, value);
          if (error !== null) throw error;
        },
        async recall(key, signal) {
          const { data } = await files.download(key, {}, { signal });
          return (await data?.text()) ?? null;
        },
        startLine: /supabase listens on/,
      };
    },
    { kills: 1 },
  );
});

test('faults survive a crash, until they are healed', async () => {
  const stage = await openStage({ mode: 'local', supabase: true });
  const { supabase } = stage;
  try {
    const storage = storageOf(supabase.url, supabase.serviceRoleKey);
    await storage.createBucket('bucket');
    const files = storage.from('bucket');
    await supabase.setFaults({
      readOnly: true,
      faults: [{ operation: 'list', fault: { kind: 'error', status: 503, code: 'SlowDown' } }],
    });
    await supabase.kill();
    await supabase.start();
    expect((await files.upload('key', 'x')).error).toEqual(storageError('DatabaseReadOnly', 503));
    expect((await files.list()).error).toEqual(storageError('SlowDown', 503, 503));
    await supabase.setFaults({});
    expect((await files.upload('key', 'x')).error).toBeNull();
    await supabase.setFaults({ policies: [{ effect: 'deny', actions: ['insert', 'update'] }] });
    expect((await files.upload('new', 'x')).error).toEqual(storageError('AccessDenied', 403));
    const user = storageOf(supabase.url, supabase.signToken({ role: 'authenticated' }));
    expect((await user.listBuckets()).data).toEqual([]);
    await supabase.forgetRequests();
    await files.exists('key');
    expect(await supabase.requests()).toMatchObject([
      { operation: 'info', bucket: 'bucket', key: 'key', status: 200 },
    ]);
    const wrong = supabase.setFaults({ policies: [{ actions: [], bucket: '' }] });
    await expect(wrong).rejects.toMatchObject({ field: 'policies[0].bucket' });
  } finally {
    await stage.close();
  }
});

test.each([
  [{ supabase: 'cloud' }, 'supabase'],
  [{ supabase: { jwtSecret: 'short' } }, 'supabase.jwtSecret'],
  [{ supabase: { port: 1 } }, 'supabase.port'],
  [{ supabase: { database: 'gone' } }, 'supabase.database'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test.each(['docker', 'compose'] as const)(
  'an option of the emulated Supabase alone is refused in mode %s before the engine is asked',
  async (mode) => {
    const refused = openStage({ mode, supabase: { database: 'frozen' } });
    await expect(refused).rejects.toMatchObject({
      code: 'STAGE_MODE_UNAVAILABLE',
      message: expect.stringContaining('supabase.database'),
    });
  },
);

test('PostgREST accepts the same keys, and its rows survive a crash', async () => {
  const schema = 'create table public.todos (id serial primary key, title text)';
  const stage = await openStage({ mode: 'local', supabase: { rest: { schema } } });
  const { supabase } = stage;
  try {
    const auth = { persistSession: false, autoRefreshToken: false };
    const client = createClient(supabase.url, supabase.serviceRoleKey, { auth });
    const made = await client.from('todos').insert({ title: 'kept' }).select();
    expect(made.data).toEqual([{ id: 1, title: 'kept' }]);
    expect((await client.from('none').select()).error).toMatchObject({ code: 'PGRST205' });
    expect((await client.storage.createBucket('bucket')).error).toBeNull();
    await supabase.kill();
    await supabase.start();
    expect((await client.from('todos').select('title')).data).toEqual([{ title: 'kept' }]);
    expect((await client.storage.getBucket('bucket')).error).toBeNull();
  } finally {
    await stage.close();
  }
});

test('PostgREST without its optional package is refused with what to install', () => {
  expect(() => assertLiteIsInstalled(new URL('file:///nowhere/src/rest.ts'))).toThrow(
    expect.objectContaining({
      code: 'SUPABASE_LITE_NOT_FOUND',
      message: expect.stringContaining('@supabase/lite'),
    }),
  );
});
