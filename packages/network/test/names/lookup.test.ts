import { ADDRCONFIG, type LookupAddress, type LookupOptions, V4MAPPED } from 'node:dns';
import { networkInterfaces } from 'node:os';
import { expect, test } from '@jest/globals';
import { type NameLookup, NameResourcesError, NameServersFailedError } from '@holdfast/network';
import { found, noAddress, openFixture } from './fake-source.ts';

const scripts = {
  'db.test 4': found(60_000, '10.0.0.1', '10.0.0.2'),
  'db.test 6': found(60_000, 'fd00::1'),
  'v4.test 4': found(60_000, '10.0.0.3'),
  'v4.test 6': noAddress,
};

type Given = LookupOptions | 0 | 4 | 6;

function ask(lookup: NameLookup, hostname: string, options: Given): Promise<unknown> {
  return new Promise((resolve, reject) => {
    lookup(hostname, options, (error, address, addressFamily) => {
      if (error === null) resolve(Array.isArray(address) ? address : [address, addressFamily]);
      else reject(error);
    });
  });
}

test('lookup answers in the forms of dns.lookup', async () => {
  const { lookup } = openFixture(scripts).resolver;
  const all: LookupAddress[] = [
    { address: '10.0.0.1', family: 4 },
    { address: 'fd00::1', family: 6 },
    { address: '10.0.0.2', family: 4 },
  ];
  expect(await ask(lookup, 'db.test', { all: true })).toEqual(all);
  expect(await ask(lookup, 'db.test', {})).toEqual(['10.0.0.2', 4]);
  expect(await ask(lookup, 'db.test', 6)).toEqual(['fd00::1', 6]);
  expect(await ask(lookup, 'db.test', { family: 'IPv6' })).toEqual(['fd00::1', 6]);
  expect(await ask(lookup, 'db.test', { order: 'ipv6first' })).toEqual(['fd00::1', 6]);
  expect(await ask(lookup, 'v4.test', { family: 6, hints: V4MAPPED })).toEqual([
    '::ffff:10.0.0.3',
    6,
  ]);
  expect(await ask(lookup, '127.0.0.7', {})).toEqual(['127.0.0.7', 4]);
  expect(await ask(lookup, '127.0.0.8', 4)).toEqual(['127.0.0.8', 4]);
  await new Promise<void>((resolve) => lookup('127.0.0.9', () => resolve()));
});

test('a family that the machine does not have is left out where the caller asks for that', async () => {
  const { lookup } = openFixture(scripts).resolver;
  const own = Object.values(networkInterfaces())
    .flatMap((list = []) => list)
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'));
  const has = (family: string): boolean => own.some((each) => each.family === family);
  const asked = ask(lookup, 'v4.test', { all: true, hints: ADDRCONFIG });
  const families = await asked.then(
    (list) => (Array.isArray(list) ? list.length : 0),
    () => 0,
  );
  expect(families).toBe(has('IPv4') ? 1 : 0);
});

test('the callback is never called before lookup returns, also when the answer is known', async () => {
  const { resolver } = openFixture(scripts);
  await resolver.resolve('db.test');
  for (const name of ['db.test', '127.0.0.1', 'not a name']) {
    let isReturned = false;
    const seen = new Promise((resolve) => {
      resolver.lookup(name, {}, () => resolve(isReturned));
    });
    isReturned = true;
    expect(await seen).toBe(true);
  }
});

test('each caller may change the list that it gets', async () => {
  const { lookup } = openFixture(scripts).resolver;
  const first = await ask(lookup, 'v4.test', { all: true });
  if (Array.isArray(first)) first.pop();
  expect(await ask(lookup, 'v4.test', { all: true })).toHaveLength(1);
});

test('errors have the codes of dns.lookup, and the true one as their cause', async () => {
  const { lookup } = openFixture({
    ...scripts,
    'down.test 4': new NameServersFailedError('down.test', []),
    'short.test 4': new NameResourcesError('short.test', undefined),
  }).resolver;
  const cases = [
    ['gone.test', 4, 'ENOTFOUND', 'NETWORK_NAME_NOT_FOUND'],
    ['v4.test', 6, 'ENOTFOUND', 'NETWORK_NAME_NO_ADDRESS'],
    ['down.test', 4, 'EAI_AGAIN', 'NETWORK_NAME_SERVERS'],
    ['short.test', 4, 'EMFILE', 'NETWORK_NAME_RESOURCES'],
    ['not a name', 4, 'ENOTFOUND', 'INVALID_OPTION'],
  ] as const;
  for (const [hostname, family, code, cause] of cases) {
    await expect(ask(lookup, hostname, { family })).rejects.toMatchObject({
      code,
      hostname,
      syscall: 'getaddrinfo',
      cause: { code: cause },
    });
  }
});

test('a family or callback that is none is refused at once, as dns.lookup does', () => {
  const { lookup } = openFixture(scripts).resolver;
  const respond = (): void => {};
  expect(() => lookup('db.test', { family: 5 }, respond)).toThrow('family must be 0, 4, 6');
  expect(() => lookup('db.test', {})).toThrow('callback must be a function');
});
