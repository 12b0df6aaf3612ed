import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { createAddressPolicy } from '../../src/dialing/address-policy.ts';
import { createDialer } from '../../src/dialing/create-dialer.ts';
import type { DialerOptions, ManagedDialer } from '../../src/dialing/dialer.ts';
import type { AddressSet } from '../../src/network.ts';

const closers: (() => unknown)[] = [];
afterEach(() => Promise.all(closers.splice(0).map((close) => close())));

function dialerWith(options: DialerOptions = {}): ManagedDialer {
  const dialer = createDialer({ timeoutMs: 2_000, ...options });
  closers.push(() => dialer.close());
  return dialer;
}

function answer(hostname: string, ...addresses: readonly string[]): AddressSet {
  return {
    hostname,
    addresses: addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    validUntilMs: Infinity,
    revision: 1,
  };
}

const target = (
  hostname: string,
  port = 80,
): { hostname: string; port: number; secure: false } => ({
  hostname,
  port,
  secure: false,
});

test.each([
  ['127.0.0.1', '127.0.0.1', 'loopback'],
  ['2130706433', '127.0.0.1', 'loopback'],
  ['0x7f.1', '127.0.0.1', 'loopback'],
  ['0x7f000001', '127.0.0.1', 'loopback'],
  ['017700000001', '127.0.0.1', 'loopback'],
  ['0177.0.0.1', '127.0.0.1', 'loopback'],
  ['127.1', '127.0.0.1', 'loopback'],
  ['127.0.1', '127.0.0.1', 'loopback'],
  ['127.0.0.1.', '127.0.0.1', 'loopback'],
  ['①②⑦.⓪.⓪.①', '127.0.0.1', 'loopback'],
  ['0', '0.0.0.0', 'unspecified'],
  ['0.0.0.0', '0.0.0.0', 'unspecified'],
  ['::', '::', 'unspecified'],
  ['::1', '::1', 'loopback'],
  ['[::1]', '::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', '0:0:0:0:0:0:0:1', 'loopback'],
  ['::ffff:7f00:1', '::ffff:7f00:1', 'loopback'],
  ['::FFFF:127.0.0.1', '::ffff:127.0.0.1', 'loopback'],
  ['::127.0.0.1', '::127.0.0.1', 'loopback'],
  ['::ffff:0:127.0.0.1', '::ffff:0:127.0.0.1', 'loopback'],
  ['64:ff9b::7f00:1', '64:ff9b::7f00:1', 'loopback'],
  ['64:ff9b::169.254.169.254', '64:ff9b::169.254.169.254', 'link-local'],
  ['64:ff9b:1::a00:1', '64:ff9b:1::a00:1', 'reserved'],
  ['2002:7f00:1::', '2002:7f00:1::', 'loopback'],
  ['2002:a9fe:a9fe::1', '2002:a9fe:a9fe::1', 'link-local'],
  ['2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:0:4136:e378:8000:63bf:3fff:fdd2', 'reserved'],
  ['2a00:1450::5efe:a00:1', '2a00:1450::5efe:a00:1', 'private'],
  ['169.254.169.254', '169.254.169.254', 'link-local'],
  ['0xa9fea9fe', '169.254.169.254', 'link-local'],
  ['fe80::1', 'fe80::1', 'link-local'],
  ['fd00:ec2::254', 'fd00:ec2::254', 'a metadata service'],
  ['100.100.100.200', '100.100.100.200', 'a metadata service'],
  ['100.64.0.1', '100.64.0.1', 'shared by a carrier'],
  ['100.127.255.254', '100.127.255.254', 'shared by a carrier'],
  ['10.1.2.3', '10.1.2.3', 'private'],
  ['172.16.0.1', '172.16.0.1', 'private'],
  ['172.31.255.255', '172.31.255.255', 'private'],
  ['192.168.0.1', '192.168.0.1', 'private'],
  ['fc00::1', 'fc00::1', 'private'],
  ['fec0::1', 'fec0::1', 'private'],
  ['224.0.0.1', '224.0.0.1', 'multicast or broadcast'],
  ['255.255.255.255', '255.255.255.255', 'multicast or broadcast'],
  ['ff02::1', 'ff02::1', 'multicast or broadcast'],
  ['198.18.0.1', '198.18.0.1', 'reserved'],
  ['240.0.0.1', '240.0.0.1', 'reserved'],
  ['4000::1', '4000::1', 'reserved'],
])('%s is refused as %s, which is %s', async (hostname, address, range) => {
  const dialer = dialerWith();
  await expect(dialer.dial(target(hostname))).rejects.toMatchObject({
    code: 'NETWORK_PRIVATE_ADDRESS',
    address,
    range,
    retryable: false,
    outcome: 'not-applied',
  });
  expect(dialer.getStats()).toMatchObject({ attempts: 0, addressesRefused: 1 });
});

test('public addresses are permitted, also when they are carried by others', () => {
  const policy = createAddressPolicy(false, 'allowPrivate', 'test');
  const addresses = ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'];
  for (const address of [...addresses, '64:ff9b::808:808', '2002:808:808::1']) {
    expect([address, policy.refusedRange(address)]).toEqual([address, undefined]);
  }
});

test('true permits private addresses, but neither credentials of clouds nor multicast', () => {
  const policy = createAddressPolicy(true, 'allowPrivate', 'test');
  for (const address of [
    '127.0.0.1',
    '10.0.0.1',
    'fd00::1',
    '100.64.0.1',
    '::ffff:10.0.0.1',
    '::',
  ]) {
    expect([address, policy.refusedRange(address)]).toEqual([address, undefined]);
  }
  for (const address of [
    '169.254.169.254',
    '::ffff:a9fe:a9fe',
    'fd00:ec2::254',
    'fe80::1%lo',
    '224.0.0.1',
  ]) {
    expect([address, policy.refusedRange(address)]).not.toEqual([address, undefined]);
  }
});

test('a list permits what it names, however the address is written', () => {
  const policy = createAddressPolicy(
    ['10.0.0.0/8', 'fd00::/8', '169.254.169.254'],
    'allowPrivate',
    'test',
  );
  for (const address of ['10.255.0.1', '::ffff:10.0.0.1', 'fd12::1', '169.254.169.254']) {
    expect([address, policy.refusedRange(address)]).toEqual([address, undefined]);
  }
  expect(policy.refusedRange('11.0.0.1')).toBeUndefined();
  expect(policy.refusedRange('127.0.0.1')).toBe('loopback');
  expect(policy.refusedRange('169.254.169.253')).toBe('link-local');
  expect(policy.refusedRange('fc00::1')).toBe('private');
});

test('a name that resolves to a private address is refused', async () => {
  const resolver = { resolve: (name: string) => Promise.resolve(answer(name, '10.0.0.1', '::1')) };
  const dialer = dialerWith({ resolver });
  await expect(dialer.dial(target('inner.test'))).rejects.toMatchObject({
    code: 'NETWORK_PRIVATE_ADDRESS',
    hostname: 'inner.test',
    address: '10.0.0.1',
  });
  expect(dialer.getStats().attempts).toBe(0);
});

test('of a mixed answer only the permitted addresses are dialed', async () => {
  const server = createServer((socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  const reports: string[] = [];
  const resolver = {
    resolve: (name: string) => Promise.resolve(answer(name, '169.254.169.254', '127.0.0.1')),
    report: (address: string, result: string) => void reports.push(`${address} ${result}`),
  };
  const dialer = dialerWith({ resolver, allowPrivate: true });
  const { socket, address, revision } = await dialer.dial(target('mixed.test', port));
  socket.destroy();
  expect({ address, revision }).toEqual({
    address: { address: '127.0.0.1', family: 4 },
    revision: 1,
  });
  expect(reports).toEqual(['127.0.0.1 reached']);
  expect(dialer.getStats().attempts).toBe(1);
});

test('a name that changes between check and connect is asked once: what was checked is dialed', async () => {
  const answers = ['192.0.2.1', '127.0.0.1'];
  let asked = 0;
  const resolver = {
    resolve: (name: string) => Promise.resolve(answer(name, answers[asked++] ?? '127.0.0.1')),
  };
  const dialer = dialerWith({ resolver, allowPrivate: ['192.0.2.0/24'], timeoutMs: 300 });
  const error: unknown = await dialer
    .dial(target('rebind.test'))
    .catch((reason: unknown) => reason);
  // Nobody answers there, and nothing else was tried.
  expect(String(error)).not.toContain('127.0.0.1');
  expect(asked).toBe(1);
  // The next call is checked by its own answer.
  await expect(dialer.dial(target('rebind.test'))).rejects.toMatchObject({ address: '127.0.0.1' });
});

test.each([
  '',
  'a b',
  'a..b',
  '-a.test',
  `${'a'.repeat(64)}.test`,
  '256.1',
  '1.2.3.4.5',
  '08.1',
  '[a.test]',
  'a:80',
  'a/b',
  7,
])('the hostname %p is refused in words', async (hostname) => {
  const given: object = { hostname, port: 80, secure: false };
  const dialing = dialerWith().dial(Object.assign(target('x'), given));
  await expect(dialing).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'target.hostname' });
});

test.each([
  [{ allowPrivate: 'yes' }, 'allowPrivate'],
  [{ allowPrivate: ['10.0.0.0/33'] }, 'allowPrivate[0]'],
  [{ allowPrivate: ['inner.test'] }, 'allowPrivate[0]'],
  [{ timeoutMs: 0 }, 'timeoutMs'],
  [{ family: 5 }, 'family'],
  [{ resolver: {} }, 'resolver'],
  [{ tls: { rejectUnauthorized: false } }, 'tls.rejectUnauthorized'],
  [{ tls: { ca: 'none' } }, 'tls.ca'],
  [{ tls: { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' } }, 'tls.ca'],
  [{ tls: { cert: '-----BEGIN CERTIFICATE-----' } }, 'tls.key'],
  [{ tls: { crls: ['none'] } }, 'tls.crls[0]'],
  [{ tls: { crls: [Buffer.from('none')] } }, 'tls.crls[0]'],
  [{ tls: { pins: { 'a.test': ['sha256/short'] } } }, 'tls.pins.a.test'],
  [{ tls: { pins: { 'a.test': [`${'A'.repeat(43)}=`] } } }, 'tls.pins.a.test'],
  [{ tls: { warnDays: [-1] } }, 'tls.warnDays'],
  [{ tls: { onRefused: 'ignore' } }, 'tls.onRefused'],
  [{ retries: 3 }, 'retries'],
])('createDialer(%j) names the field', (options: object, field) => {
  expect(() => createDialer(options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test.each([
  [{ port: 0 }, {}, 'target.port'],
  [{ secure: 'no' }, {}, 'target.secure'],
  [{}, { timeoutMs: -1 }, 'timeoutMs'],
  [{}, { signal: {} }, 'signal'],
  [{}, { protocols: [''] }, 'protocols'],
  [{}, { alternates: [{ hostname: 'a.test', port: 1e6, secure: true }] }, 'alternates[0].port'],
  [{}, { retries: 3 }, 'retries'],
])('dial(%j, %j) names the field', async (part: object, options: object, field) => {
  const dialing = dialerWith().dial(Object.assign(target('x.test'), part), options);
  await expect(dialing).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});
