import { expect, test } from '@jest/globals';
import {
  type DnsRecord,
  DnsFormatError,
  addressRule,
  decodeMessage,
  encodeMessage,
  nameRule,
  negativeTtlSecondsOf,
  recordRule,
  toResource,
} from '@holdfast/protocols/dns';

const accept = (record: unknown): DnsRecord => recordRule.parse(record, 'records[0]', 'zone');

test.each<[string, DnsRecord, string]>([
  ['an IPv4 address', { name: 'a.test', type: 'A', address: '192.0.2.7' }, 'c0000207'],
  [
    'an IPv6 address with its zeros left out',
    { name: 'a.test', type: 'AAAA', address: '2001:db8::7' },
    '20010db8000000000000000000000007',
  ],
  [
    'an IPv6 address that ends in an IPv4 one',
    { name: 'a.test', type: 'AAAA', address: '::ffff:192.0.2.7' },
    '00000000000000000000ffffc0000207',
  ],
  ['an alias', { name: 'a.test', type: 'CNAME', target: 'b.test' }, '0162047465737400'],
  ['an empty text', { name: 'a.test', type: 'TXT', text: '' }, '00'],
  ['a text of two bytes a character', { name: 'a.test', type: 'TXT', text: 'é' }, '02c3a9'],
  [
    'a service',
    { name: 'a.test', type: 'SRV', target: 'b.test', port: 6379, priority: 1, weight: 2 },
    `0001000218eb0162047465737400`,
  ],
])('the data of a record of %s are those of the RFC', (_, record, hex) => {
  expect(toResource(record).data.toString('hex')).toBe(hex);
  const question = { name: 'a.test', type: 1, class: 1 };
  const message = {
    id: 1,
    isResponse: true,
    opcode: 0,
    isAuthoritative: true,
    isTruncated: false,
    recursionDesired: true,
    recursionAvailable: true,
    code: 0,
    questions: [question],
    answers: [toResource(record)],
    authorities: [],
    additionals: [],
  };
  expect(decodeMessage(encodeMessage(message))).toEqual(message);
});

test('a long text is cut into strings of 255 bytes', () => {
  const { data } = toResource({ name: 'a.test', type: 'TXT', text: 'x'.repeat(300) });
  expect([data.length, data[0], data[256]]).toEqual([302, 255, 45]);
});

test('a record of authority says how long absence may be cached, and one that is cut is refused', () => {
  const record = accept({ name: 'test', type: 'SOA', negativeTtlSeconds: 5, ttlSeconds: 9 });
  const resource = toResource(record);
  expect(resource.ttlSeconds).toBe(9);
  expect(negativeTtlSecondsOf(resource)).toBe(5);
  const cut = { ...resource, data: resource.data.subarray(0, 21) };
  expect(() => negativeTtlSecondsOf(cut)).toThrow(DnsFormatError);
});

test('a record gets the defaults of its type', () => {
  expect(accept({ name: 'a.test', type: 'A', address: '192.0.2.7' })).toMatchObject({
    ttlSeconds: 60,
  });
  expect(accept({ name: 'a.test', type: 'CNAME', target: 'b.test' })).toMatchObject({
    target: 'b.test',
  });
  expect(accept({ name: 'a.test', type: 'TXT', text: 'a' })).toMatchObject({ text: 'a' });
  expect(accept({ name: 'a.test', type: 'SRV', target: 'b.test', port: 1 })).toMatchObject({
    priority: 0,
    weight: 0,
  });
  expect(toResource({ name: 'a.test', type: 'A', address: '192.0.2.7' }).ttlSeconds).toBe(60);
});

test.each<[unknown, string]>([
  ['a.test', 'records[0]'],
  [[], 'records[0]'],
  [null, 'records[0]'],
  [{ name: 'a.test', type: 'MX' }, 'records[0].type'],
  [{ name: 'a.test.', type: 'A', address: '192.0.2.7' }, 'name'],
  [{ name: '-a.test', type: 'A', address: '192.0.2.7' }, 'name'],
  [{ name: 'a.test', type: 'A', address: '::1' }, 'address'],
  [{ name: 'a.test', type: 'AAAA', address: '127.0.0.1' }, 'address'],
  [{ name: 'a.test', type: 'AAAA', address: 'fe80::1%lo' }, 'address'],
  [{ name: 'a.test', type: 'TXT', text: 'x'.repeat(4_097) }, 'text'],
  [{ name: 'a.test', type: 'SRV', target: 'b.test', port: 65_536 }, 'port'],
  [{ name: 'a.test', type: 'SOA', negativeTtlSeconds: -1 }, 'negativeTtlSeconds'],
])('the record %j is refused, and the error names %s', (record, field) => {
  expect(() => accept(record)).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(field),
    }),
  );
});

test('an address of either family is one without a zone', () => {
  expect(addressRule().parse('::1', 'address', 'test')).toBe('::1');
  expect(() => addressRule().parse('fe80::1%lo', 'address', 'test')).toThrow('an IP address');
  expect(() => addressRule().parse('localhost', 'address', 'test')).toThrow('an IP address');
  expect(nameRule.parse('_redis._tcp.a-1.test', 'name', 'test')).toBe('_redis._tcp.a-1.test');
});
