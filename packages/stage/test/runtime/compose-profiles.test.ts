import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type StageOptions, openStage } from '../../src/index.ts';

/** An engine without containers, as before compose has started any. */
let engine: Server;
let folder: string;
const { DOCKER_HOST } = process.env;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-'));
  engine = createServer((_, response) => response.end('[]'));
  const path = join(folder, 'engine.sock');
  await new Promise<void>((resolve) => void engine.listen(path, resolve));
  process.env['DOCKER_HOST'] = `unix://${path}`;
});

afterAll(async () => {
  if (DOCKER_HOST === undefined) delete process.env['DOCKER_HOST'];
  else process.env['DOCKER_HOST'] = DOCKER_HOST;
  await new Promise((resolve) => engine.close(resolve));
  await rm(folder, { recursive: true });
});

async function remedyFor(options: StageOptions): Promise<string> {
  const refusal: unknown = await openStage({ ...options, mode: 'compose' }).catch(
    (error: unknown) => error,
  );
  expect(refusal).toMatchObject({ code: 'STAGE_MODE_UNAVAILABLE' });
  return String(refusal);
}

async function composeFile(): Promise<unknown> {
  const path = new URL('../../../../docker-compose.test.yml', import.meta.url);
  return parse(await readFile(path, 'utf8'), { merge: true, maxAliasCount: -1 });
}

test.each<[string, StageOptions]>([
  ['sentinel', { redis: 'sentinel' }],
  ['cluster', { redis: 'cluster' }],
  ['postgres-18', { postgres: { version: 18 } }],
  ['storage', { s3: true }],
  ['storage', { supabase: true }],
])(
  'a topology of the profile %s that does not run is started by its profile',
  async (profile, options) => {
    const remedy = await remedyFor(options);
    expect(remedy).toContain(`--profile ${profile} up --detach --wait'`);
    const file: unknown = parse(
      await readFile(new URL('../../../../docker-compose.test.yml', import.meta.url), 'utf8'),
      { merge: true, maxAliasCount: -1 },
    );
    const [, service] = /the service '([^']+)'/.exec(remedy) ?? [];
    // Its database starts without a profile.
    const own = service === 'postgres' ? {} : { profiles: [profile] };
    expect(file).toHaveProperty(['services', service ?? ''], expect.objectContaining(own));
  },
);

test('a service without a profile is started by its name', async () => {
  expect(await remedyFor({ redis: true })).toContain(`up --detach --wait redis'`);
});

test('settings that the Redis of the file has are accepted, one by one and together', async () => {
  const settings = { appendonly: 'yes', appendfsync: 'always', save: '' };
  const command = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  expect(await composeFile()).toHaveProperty(
    'services.redis.command',
    expect.arrayContaining(command),
  );
  const some = Object.entries(settings).map((entry) => Object.fromEntries([entry]));
  for (const accepted of [settings, ...some]) {
    expect(await remedyFor({ redis: { settings: accepted } })).toContain('no container');
  }
  const changed = { ...settings, appendfsync: 'everysec' };
  expect(await remedyFor({ redis: { settings: changed } })).toContain('redis.settings');
});
