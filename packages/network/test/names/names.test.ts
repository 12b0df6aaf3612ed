import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type AddressesChanged, type Resolver, createResolver } from '@holdfast/network';
import { parseHosts, parseResolvConf } from '../../src/names/system-files.ts';
import { createFakeSource, found, openFixture } from './fake-source.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function temporaryFile(content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-names-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'file');
  writeFileSync(path, content);
  return path;
}

const family = 4;

test('names that are also properties of every object are names as any other', async () => {
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    const lower = name.toLowerCase();
    const { source, resolver } = openFixture({ [`${lower} 4`]: found(1_000, '10.0.0.1') });
    expect((await resolver.resolve(name, { family })).hostname).toBe(lower);
    expect((await resolver.resolve(name, { family })).addresses).toHaveLength(1);
    expect(source.asked).toEqual([`${lower} 4`]);
  }
});

test('letter case and a last dot make no other name', async () => {
  const { source, resolver } = openFixture({ 'case.test 4': found(1_000, '10.0.0.1') });
  for (const name of ['Case.test', 'case.test', 'CASE.TEST', 'case.test.', 'Case.Test.']) {
    expect((await resolver.resolve(name, { family })).hostname).toBe('case.test');
  }
  expect(source.asked).toEqual(['case.test 4']);
  expect(resolver.getStats().names).toBe(1);
});

test('an international name is asked in its ASCII form', async () => {
  const { source, resolver } = openFixture({ 'xn--bcher-kva.test 4': found(1_000, '10.0.0.1') });
  await resolver.resolve('Bücher.test', { family });
  expect(source.asked).toEqual(['xn--bcher-kva.test 4']);
});

test('IP addresses and localhost are never asked', async () => {
  const { source, resolver } = openFixture();
  const of = async (name: string): Promise<unknown[]> =>
    (await resolver.resolve(name)).addresses.map(({ address }) => address);
  expect(await of('127.0.0.9')).toEqual(['127.0.0.9']);
  expect(await of('fd00::1')).toEqual(['fd00::1']);
  for (const name of ['localhost', 'LOCALHOST.', 'app.localhost']) {
    expect(await of(name)).toEqual(['127.0.0.1', '::1']);
  }
  await expect(resolver.resolve('127.0.0.9', { family: 6 })).rejects.toMatchObject({
    kind: 'no-address',
  });
  expect(source.asked).toEqual([]);
});

test.each([
  '',
  '.',
  '..',
  'a..b',
  '-a.test',
  'a-.test',
  'a b.test',
  'a/b',
  'http://a.test',
  '[::1]',
  '2130706433',
  '0x7f.1',
  '127.1',
  '1.2.3.4.5',
  'a.test:80',
  `${'a'.repeat(64)}.test`,
  `${'a.'.repeat(127)}a`,
  'a\0.test',
  '\u{1F4A9}\u0000',
  undefined,
  null,
  42,
  {},
])('%p is no name, and is refused as such', async (name) => {
  const { source, resolver } = openFixture();
  // @ts-expect-error: what a caller without types may pass
  await expect(resolver.resolve(name)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'hostname',
    value: name,
  });
  expect(source.asked).toEqual([]);
});

test('search domains are tried as resolv.conf says, until a name exists', async () => {
  const cases: [string, number, string[]][] = [
    ['db', 1, ['db.a.test', 'db.b.test', 'db']],
    ['db.shop', 1, ['db.shop', 'db.shop.a.test', 'db.shop.b.test']],
    ['db.shop', 2, ['db.shop.a.test', 'db.shop.b.test', 'db.shop']],
    ['db.', 1, ['db']],
    ['db', 0, ['db', 'db.a.test', 'db.b.test']],
  ];
  for (const [name, ndots, asked] of cases) {
    const { source, resolver } = openFixture({}, { search: ['a.test', 'b.test'], ndots });
    await expect(resolver.resolve(name, { family })).rejects.toMatchObject({ kind: 'not-found' });
    expect(source.asked).toEqual(asked.map((each) => `${each} 4`));
  }
});

test('a search ends at the first name that exists, for both families alike', async () => {
  const { source, resolver } = openFixture(
    {
      'db.a.test 4': found(1_000, '10.0.0.1'),
      'db.a.test 6': { kind: 'no-address', ttlMs: 1_000 },
      'db.b.test 6': found(1_000, 'fd00::bad'),
    },
    { search: ['a.test', 'b.test'] },
  );
  const { addresses, hostname } = await resolver.resolve('db');
  expect(addresses).toEqual([{ address: '10.0.0.1', family: 4 }]);
  expect(hostname).toBe('db');
  expect(source.asked).toEqual(['db.a.test 4', 'db.a.test 6']);
});

test('resolv.conf is read with its comments, its last search and its options', () => {
  const text = `# comment
nameserver 10.0.0.2   ; first
nameserver fd00::2
nameserver nonsense
domain old.test
search A.test. b.test
options timeout:1 ndots:5 rotate`;
  expect(parseResolvConf(text)).toEqual({
    servers: [
      { address: '10.0.0.2', port: 53 },
      { address: 'fd00::2', port: 53 },
    ],
    search: ['a.test', 'b.test'],
    ndots: 5,
  });
  expect(parseResolvConf('')).toEqual({
    servers: [{ address: '127.0.0.1', port: 53 }],
    search: [],
    ndots: 1,
  });
});

test('a hosts file is read with its aliases, and its own lines win', () => {
  const hosts = parseHosts('10.0.0.1 db.test DB2.test # x\nfd00::1 db.test\nnonsense db.test\n');
  expect(hosts.get('db.test')).toEqual({ 4: ['10.0.0.1'], 6: ['fd00::1'] });
  expect(hosts.get('db2.test')).toEqual({ 4: ['10.0.0.1'], 6: [] });
});

test('the hosts file answers before the servers, is followed when it changes, and its change is an event', async () => {
  const hostsFile = temporaryFile('10.0.0.1 db.test\n127.0.0.1 localhost\n');
  const source = createFakeSource({ 'db.test 4': found(60_000, '10.9.9.9') });
  const resolver = createResolver({ source, hostsFile, reloadEveryMs: 20 });
  cleanups.push(() => void resolver.close());
  const of = async (name: string): Promise<string[]> =>
    (await resolver.resolve(name, { family })).addresses.map(({ address }) => address);
  expect(await of('db.test')).toEqual(['10.0.0.1']);
  expect(await of('localhost')).toEqual(['127.0.0.1']);
  const moved = nextChange(resolver);
  writeFileSync(hostsFile, '10.0.0.22 db.test other.test\n');
  expect(await moved).toMatchObject({
    hostname: 'db.test',
    added: [{ address: '10.0.0.22' }],
    removed: [{ address: '10.0.0.1' }],
    revision: 2,
  });
  expect(await of('db.test')).toEqual(['10.0.0.22']);
  expect(source.asked).toEqual([]);
  const gone = nextChange(resolver);
  writeFileSync(hostsFile, '# nothing\n');
  expect(await gone).toMatchObject({ hostname: 'db.test', added: [], revision: 3 });
  expect(await of('db.test')).toEqual(['10.9.9.9']);
});

test('a file that is not there is empty', async () => {
  const source = createFakeSource();
  const resolver = createResolver({ source, hostsFile: '/nowhere/hosts' });
  cleanups.push(() => void resolver.close());
  await expect(resolver.resolve('db.test')).rejects.toMatchObject({ kind: 'not-found' });
});

test.each([
  [{ nameservers: [] }, 'nameservers'],
  [{ nameservers: ['db.test'] }, 'nameservers[0]'],
  [{ nameservers: ['10.0.0.1', '10.0.0.1:99999'] }, 'nameservers[1]'],
  [{ nameservers: ['fd00::1:53:'] }, 'nameservers[0]'],
  [{ search: ['a b'] }, 'search[0]'],
  [{ ndots: 16 }, 'ndots'],
  [{ minTtlMs: -1 }, 'minTtlMs'],
  [{ maxTtlMs: 8 * 86_400_000 }, 'maxTtlMs'],
  [{ minTtlMs: 2_000, maxTtlMs: 1_000 }, 'minTtlMs'],
  [{ maxNames: 0 }, 'maxNames'],
  [{ maxInFlight: 0 }, 'maxInFlight'],
  [{ timeoutMs: 0 }, 'timeoutMs'],
  [{ familyOrder: 'verbatim' }, 'familyOrder'],
  [{ hostsFile: true }, 'hostsFile'],
  [{ source: {} }, 'source'],
  [{ ttl: 5 }, 'ttl'],
])('%p is refused by its field', (options, field) => {
  // @ts-expect-error: what a caller without types may pass
  expect(() => createResolver(options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

function nextChange(resolver: Resolver): Promise<AddressesChanged> {
  return new Promise((resolve) => {
    const stop = resolver.on('changed', (event) => {
      stop();
      resolve(event);
    });
  });
}
