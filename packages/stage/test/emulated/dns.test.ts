import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  type DnsMessage,
  type DnsRecord,
  decodeMessage,
  encodeMessage,
  negativeTtlSecondsOf,
} from '@holdfast/protocols/dns';
import { type Stage, openStage } from '../../src/stage.ts';

const records: readonly DnsRecord[] = [
  { name: 'db.test', type: 'A', address: '127.0.0.1', ttlSeconds: 30 },
  { name: 'db.test', type: 'A', address: '127.0.0.2', ttlSeconds: 30 },
  { name: 'db.test', type: 'AAAA', address: '2001:db8::7' },
  { name: 'www.test', type: 'CNAME', target: 'db.test' },
  { name: '_redis._tcp.test', type: 'SRV', target: 'db.test', port: 6379, priority: 1, weight: 2 },
  { name: 'note.test', type: 'TXT', text: 'grüße '.repeat(60) },
  { name: 'loop.test', type: 'CNAME', target: 'loop.test' },
  { name: 'localhost.test', type: 'A', address: '127.0.0.1' },
];

let stage: Stage<{ dns: { records: readonly DnsRecord[] } }>;
beforeAll(async () => {
  stage = await openStage({ mode: 'local', dns: { records } });
});
afterAll(() => stage.close());
beforeEach(async () => {
  if (stage.dns.state === 'stopped') await stage.dns.start();
  await stage.dns.serve(records);
  await stage.dns.setFaults([]);
  await stage.dns.forgetQueries();
});

const quick = { timeoutMs: 200, tries: 1 };

test('each type of record is answered as it was given', async () => {
  const resolver = stage.dns.resolver();
  expect(await resolver.resolve4('DB.test', { ttl: true })).toEqual([
    { address: '127.0.0.1', ttl: 30 },
    { address: '127.0.0.2', ttl: 30 },
  ]);
  expect(await resolver.resolve6('db.test')).toEqual(['2001:db8::7']);
  expect(await resolver.resolve4('www.test')).toEqual(['127.0.0.1', '127.0.0.2']);
  expect(await resolver.resolveCname('www.test')).toEqual(['db.test']);
  // Node 24 adds the type.
  expect(await resolver.resolveSrv('_redis._tcp.test')).toMatchObject([
    { name: 'db.test', port: 6379, priority: 1, weight: 2 },
  ]);
  // Node reads a byte as a character.
  const pieces = (await resolver.resolveTxt('note.test')).flat();
  expect(Buffer.from(pieces.join(''), 'latin1').toString('utf8')).toBe('grüße '.repeat(60));
});

test('an unknown name, a name without that record and an alias of itself have no answer', async () => {
  const resolver = stage.dns.resolver();
  await expect(resolver.resolve4('nobody.test')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  await expect(resolver.resolve6('localhost.test')).rejects.toMatchObject({ code: 'ENODATA' });
  expect(await resolver.resolve4('loop.test')).toEqual([]);
});

test.each([
  ['nxdomain', 'ENOTFOUND'],
  ['servfail', 'ESERVFAIL'],
  ['refused', 'EREFUSED'],
  ['dropped', 'ETIMEOUT'],
] as const)('%s is what Node calls %s', async (kind, code) => {
  await stage.dns.setFaults([{ kind, name: 'db.test' }]);
  const resolver = stage.dns.resolver(quick);
  await expect(resolver.resolve4('db.test')).rejects.toMatchObject({ code });
  expect(await resolver.resolve4('localhost.test')).toEqual(['127.0.0.1']);
  await stage.dns.setFaults([]);
  expect(await stage.dns.resolver().resolve4('db.test')).toHaveLength(2);
});

test('a slow answer is too late for an impatient resolver, and in time for a patient one', async () => {
  await stage.dns.setFaults([{ kind: 'slow', delayMs: 2_000 }]);
  const impatient = stage.dns.resolver({ timeoutMs: 50, tries: 1 });
  await expect(impatient.resolve4('db.test')).rejects.toMatchObject({ code: 'ETIMEOUT' });
  const patient = stage.dns.resolver({ timeoutMs: 10_000, tries: 1 });
  expect(await patient.resolve4('db.test')).toHaveLength(2);
});

test('a truncated answer is asked for again over TCP, and is complete there', async () => {
  await stage.dns.setFaults([{ kind: 'truncated' }]);
  expect(await stage.dns.resolver().resolve4('db.test')).toEqual(['127.0.0.1', '127.0.0.2']);
  const asked = await stage.dns.queries();
  expect(asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp']);
});

test('a TTL that flips has two values alternately', async () => {
  await stage.dns.setFaults([{ kind: 'ttlFlip', ttlSeconds: [0, 86_400] }]);
  const ttls: number[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    const [found] = await stage.dns.resolver().resolve4('localhost.test', { ttl: true });
    ttls.push(found?.ttl ?? -1);
  }
  expect(ttls).toEqual([0, 86_400, 0, 86_400]);
});

test('a wrong answer has another address, or the given one', async () => {
  await stage.dns.setFaults([{ kind: 'wrongAnswer' }]);
  const resolver = stage.dns.resolver();
  expect(await resolver.resolve4('localhost.test')).toEqual(['192.0.2.1']);
  expect(await resolver.resolve6('db.test')).toEqual(['2001:db8::1']);
  await stage.dns.setFaults([{ kind: 'wrongAnswer', address: '127.0.0.9' }]);
  expect(await resolver.resolve4('localhost.test')).toEqual(['127.0.0.9']);
});

test('a fault is used up after its times', async () => {
  await stage.dns.setFaults([{ kind: 'servfail', times: 2 }]);
  const seen: string[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const resolver = stage.dns.resolver({ timeoutMs: 5_000, tries: 1 });
    seen.push(
      await resolver
        .resolve4('localhost.test')
        .then(String, (error: { code: string }) => error.code),
    );
  }
  expect(seen).toEqual(['ESERVFAIL', 'ESERVFAIL', '127.0.0.1']);
  expect((await stage.dns.queries()).map(({ faults }) => faults)).toEqual([
    ['servfail'],
    ['servfail'],
    [],
  ]);
});

test('records change while it runs, and survive a crash', async () => {
  await stage.dns.serve([{ name: 'db.test', type: 'A', address: '127.0.0.3' }]);
  expect(await stage.dns.resolver().resolve4('db.test')).toEqual(['127.0.0.3']);
  await stage.dns.kill();
  await expect(stage.dns.resolver(quick).resolve4('db.test')).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
  await stage.dns.start();
  expect(await stage.dns.resolver().resolve4('db.test')).toEqual(['127.0.0.3']);
});

test('a frozen server is silent, and answers once thawed', async () => {
  await stage.dns.freeze();
  await expect(stage.dns.resolver(quick).resolve4('db.test')).rejects.toMatchObject({
    code: 'ETIMEOUT',
  });
  await stage.dns.thaw();
  expect(await stage.dns.resolver().resolve4('db.test')).toHaveLength(2);
});

test('its lookup directs an HTTP client to the answered address', async () => {
  const server = createServer((_, response) => response.end('reached')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const request = get({ host: 'localhost.test', port, lookup: stage.dns.lookup, agent: false });
    const [response] = await once(request, 'response');
    expect(await text(response)).toBe('reached');
  } finally {
    server.close();
  }
});

test.each([
  [{ kind: 'nxdomain' }, 'ENOTFOUND'],
  [{ kind: 'servfail' }, 'EAI_AGAIN'],
] as const)('its lookup fails under %j as the system’s would: %s', async (fault, code) => {
  await stage.dns.setFaults([fault]);
  const socket = connect({ host: 'db.test', port: 1, lookup: stage.dns.lookup });
  const [error] = await once(socket, 'error').catch((met: unknown) => [met]);
  expect(error).toMatchObject({ code, syscall: 'getaddrinfo', hostname: 'db.test' });
});

test('its lookup returns one address, all, those of a family, and an address unchanged', async () => {
  const look = (name: string, options: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      stage.dns.lookup(name, options, (error, address, family) =>
        error === null ? resolve([address, family]) : reject(error),
      );
    });
  expect(await look('db.test', {})).toEqual(['127.0.0.1', 4]);
  expect(await look('db.test', { family: 6 })).toEqual(['2001:db8::7', 6]);
  expect(await look('localhost.test', { all: true })).toEqual([
    [{ address: '127.0.0.1', family: 4 }],
    undefined,
  ]);
  expect(await look('10.0.0.1', {})).toEqual(['10.0.0.1', 4]);
  for (const [name, family] of [
    ['localhost.test', 6],
    ['loop.test', 4],
  ] as const) {
    await expect(look(name, { family })).rejects.toMatchObject({ code: 'ENOTFOUND' });
  }
});

test('while it is down, configuring it is an error that says so', async () => {
  await stage.dns.kill();
  await expect(stage.dns.serve([])).rejects.toMatchObject({ code: 'STAGE_STATE', verb: 'serve' });
});

test('it has no fault proxy, which would carry no UDP', () => {
  expect(() => stage.dns.link).toThrow(expect.objectContaining({ code: 'STAGE_LINK_ABSENT' }));
});

const record = { name: 'a.test', type: 'A', address: '127.0.0.1' };

test.each([
  [{ dns: 1 }, 'dns'],
  [{ dns: { record: [] } }, 'dns.record'],
  [{ dns: { records: [7] } }, 'dns.records[0]'],
  [{ dns: { records: [{ ...record, type: 'MX' }] } }, 'dns.records[0].type'],
  [{ dns: { records: [{ ...record, name: 'a..test' }] } }, 'dns.records[0].name'],
  [{ dns: { records: [{ ...record, address: '::1' }] } }, 'dns.records[0].address'],
  [
    { dns: { records: [{ ...record, type: 'AAAA', address: 'fe80::1%lo' }] } },
    'dns.records[0].address',
  ],
  [{ dns: { records: [{ ...record, ttlSeconds: -1 }] } }, 'dns.records[0].ttlSeconds'],
  [{ dns: { records: [{ ...record, ttl: 1 }] } }, 'dns.records[0].ttl'],
  [{ dns: { records: [{ name: 'a', type: 'SRV', target: 'b' }] } }, 'dns.records[0].port'],
  [{ dns: { faults: [{ kind: 'meteor' }] } }, 'dns.faults[0].kind'],
  [{ dns: { faults: [{ kind: 'slow' }] } }, 'dns.faults[0].delayMs'],
  [{ dns: { faults: [{ kind: 'nxdomain', delayMs: 1 }] } }, 'dns.faults[0].delayMs'],
  [{ dns: { faults: [{ kind: 'ttlFlip', ttlSeconds: [1] }] } }, 'dns.faults[0].ttlSeconds'],
  [{ dns: { faults: [{ kind: 'wrongAnswer', address: 'x' }] } }, 'dns.faults[0].address'],
  [{ dns: { faults: [{ kind: 'dropped', times: 0 }] } }, 'dns.faults[0].times'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test('what does not exist is answered with the record of authority of its zone', async () => {
  await stage.dns.serve([
    { name: 'test', type: 'SOA', negativeTtlSeconds: 30, serial: 7 },
    { name: 'db.test', type: 'A', address: '127.0.0.1' },
  ]);
  const soa = await stage.dns.resolver().resolveSoa('test');
  expect(soa).toMatchObject({ serial: 7, minttl: 30 });
  for (const name of ['nobody.test', 'db.test']) {
    const { authorities } = await ask(name, 28);
    expect(authorities.map((soaOf) => [soaOf.name, negativeTtlSecondsOf(soaOf)])).toEqual([
      ['test', 30],
    ]);
  }
});

test('records rotate, one type of record fails alone, and an answer is empty, cut or forged', async () => {
  const resolver = stage.dns.resolver(quick);
  await stage.dns.setFaults([{ kind: 'rotated', name: 'db.test' }]);
  const firsts = [await resolver.resolve4('db.test'), await resolver.resolve4('db.test')];
  expect(new Set(firsts.map(([first]) => first))).toEqual(new Set(['127.0.0.1', '127.0.0.2']));
  await stage.dns.setFaults([{ kind: 'servfail', type: 'AAAA' }]);
  expect(await resolver.resolve4('db.test')).toHaveLength(2);
  await expect(resolver.resolve6('db.test')).rejects.toMatchObject({ code: 'ESERVFAIL' });
  await stage.dns.setFaults([{ kind: 'nodata' }]);
  await expect(resolver.resolve4('db.test')).rejects.toMatchObject({ code: 'ENODATA' });
  await stage.dns.setFaults([{ kind: 'malformed' }]);
  await expect(ask('db.test', 1)).rejects.toThrow('too early');
  // The forged answer comes first; the true one is to another id, which this client does not check.
  await stage.dns.setFaults([{ kind: 'forged', by: 'id' }]);
  const { id, answers } = await ask('db.test', 1);
  expect([id, answers.map(({ data }) => data.join('.'))]).toEqual([8, ['192.0.2.1']]);
});

/** The first datagram that comes back, whatever its id. */
async function ask(name: string, type: number): Promise<DnsMessage> {
  const socket = createSocket('udp4');
  const question = { name, type, class: 1 };
  const nothing = { answers: [], authorities: [], additionals: [] };
  const flags = { isResponse: false, opcode: 0, isAuthoritative: false, isTruncated: false };
  const more = { recursionDesired: true, recursionAvailable: false, code: 0 };
  const query = { id: 9, ...flags, ...more, questions: [question], ...nothing };
  try {
    socket.send(encodeMessage(query), stage.dns.port, stage.dns.host);
    const [bytes] = await once(socket, 'message');
    return decodeMessage(bytes);
  } finally {
    socket.close();
  }
}
