import { mkdtemp, rm, writeFile, mkdir, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import {
  aptConf,
  libraryDependencies,
  missingLibraries,
} from '../../src/servers/executables/apt.ts';
import { systemName } from '../../src/servers/executables/fetch.ts';
import { locateRedis } from '../../src/servers/redis/program.ts';
import { locatePostgres } from '../../src/servers/postgres/program.ts';
import type { Watchdog } from '../../src/watchdog/watchdog.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-fetch-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const watchdog: Watchdog = {
  guard: () => () => undefined,
  ready: () => undefined,
  close: () => Promise.resolve(),
};

function locate(env: Record<string, string>): ReturnType<typeof locateRedis> {
  const options = { clock: systemClock, watchdog, fetchTimeoutMs: 5_000, env };
  return locateRedis(options, new AbortController().signal);
}

async function executable(...path: string[]): Promise<string> {
  const file = join(folder, ...path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, '#!/bin/sh\n');
  await chmod(file, 0o755);
  return file;
}

test('redis-server on PATH is preferred to valkey-server', async () => {
  const valkey = await executable('first', 'valkey-server');
  const path = `${join(folder, 'first')}:${join(folder, 'second')}`;
  expect(await locate({ PATH: path })).toEqual({ file: valkey, env: {} });
  const redis = await executable('second', 'redis-server');
  expect(await locate({ PATH: path })).toEqual({ file: redis, env: {} });
});

test('a Redis that was fetched before is used from the cache folder with its libraries', async () => {
  const tree = join('holdfast', 'redis', await systemName());
  const redis = await executable(tree, 'usr', 'bin', 'redis-server');
  await mkdir(join(folder, tree, 'usr/lib/x86_64-linux-gnu'), { recursive: true });
  expect(await locate({ PATH: '', XDG_CACHE_HOME: folder })).toEqual({
    file: redis,
    env: { LD_LIBRARY_PATH: join(folder, tree, 'usr/lib/x86_64-linux-gnu') },
  });
});

test('without apt-get the error says what to install on each system, and nothing is left', async () => {
  const env = { PATH: join(folder, 'empty'), XDG_CACHE_HOME: folder };
  const refused = locate(env).catch((error: unknown) => error);
  expect(await refused).toMatchObject({
    code: 'STAGE_REDIS_NOT_FOUND',
    message: expect.stringMatching(
      /apt-get install redis-server.*dnf install valkey.*apk add redis.*brew install redis/,
    ),
  });
});

test('without the requested Postgres the error says what was found and what to install', async () => {
  const options = { clock: systemClock, watchdog, fetchTimeoutMs: 5_000 };
  const env = { PATH: join(folder, 'empty'), XDG_CACHE_HOME: folder };
  const { signal } = new AbortController();
  const nowhere = (): undefined => undefined;
  const none = locatePostgres(undefined, { ...options, env }, signal, folder, nowhere);
  await expect(none).rejects.toMatchObject({
    code: 'STAGE_POSTGRES_NOT_FOUND',
    message: expect.stringMatching(/no apt-get.*apt-get install postgresql.*brew install/),
  });
  const other = await executable('postgres');
  await executable('initdb');
  await writeFile(other, '#!/bin/sh\necho "postgres (PostgreSQL) 15.1"\n');
  // Root runs the check as another user, who must have access.
  await chmod(folder, 0o755);
  const another = locatePostgres(
    16,
    { ...options, env: { ...env, PATH: folder } },
    signal,
    folder,
    nowhere,
  );
  await expect(another).rejects.toMatchObject({
    message: expect.stringMatching(/no Postgres 16 .*says "postgres \(PostgreSQL\) 15.1"/),
  });
});

test('apt uses its own folder and no hooks of the machine', () => {
  const conf = aptConf('/elsewhere');
  expect(conf).toContain('Dir::State::Lists "/elsewhere/lists";');
  expect(conf).toContain('Dir::Cache "/elsewhere/cache";');
  expect(conf).toContain('#clear APT::Update::Post-Invoke;');
});

test('the libraries of a package are parsed from the output of apt, without libc6', () => {
  const printed = [
    'redis-tools',
    '  Depends: adduser',
    '  Depends: libc6',
    '  PreDepends: libssl3t64',
    ' |Depends: libsystemd0',
    '    libelogind0',
    '  Depends: <libvirtual>',
    '  Suggests: libruby',
    'redis-server',
    '  Depends: redis-tools',
    '  Depends: libssl3t64',
    '',
  ].join('\n');
  expect(libraryDependencies(printed)).toEqual(['libssl3t64', 'libsystemd0']);
});

test('the missing libraries of a program are parsed from the output of ldd', () => {
  const printed = [
    '\tlinux-vdso.so.1 (0x00007f4ec826e000)',
    '\tliblzf.so.1 => not found',
    '\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f4ec7f05000)',
    '\tlibjemalloc.so.2 => not found',
    '',
  ].join('\n');
  expect(missingLibraries(printed)).toEqual(['liblzf.so.1', 'libjemalloc.so.2']);
});
