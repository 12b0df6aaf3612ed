import { expect, test } from '@jest/globals';
import { propertyOf, seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type DnsMessage,
  type DnsRecord,
  decodeMessage,
  encodeMessage,
  toResource,
} from '@holdfast/protocols/dns';
import type { NameAnswer } from '@holdfast/network';
import type { ChannelListener } from '../../src/names/queries/channel.ts';
import { type NameServers, createNameServers } from '../../src/names/queries/name-servers.ts';

interface Sent {
  readonly server: string;
  readonly protocol: 'udp' | 'tcp';
  readonly atMs: number;
  readonly message: DnsMessage;
  readonly listener: ChannelListener;
  isClosed: boolean;
}

interface Fixture {
  readonly clock: FakeClock;
  readonly servers: NameServers;
  readonly sent: Sent[];
  readonly ask: (name?: string, signal?: AbortSignal) => Promise<NameAnswer>;
}

/** Two servers, `one` and `other`, whose messages the test answers itself or through `onSend`. */
function openFixture(onSend: (sent: Sent) => void = () => {}): Fixture {
  const clock = createFakeClock();
  const sent: Sent[] = [];
  const servers = createNameServers({
    clock,
    random: seededRandom(11),
    open(protocol, { address }, listener) {
      const own: Sent[] = [];
      const server = address === '10.0.0.1' ? 'one' : 'other';
      return {
        send(bytes) {
          const message = decodeMessage(bytes);
          const each = { server, protocol, atMs: clock.now(), message, listener, isClosed: false };
          own.push(each);
          sent.push(each);
          onSend(each);
        },
        close: () => own.forEach((each) => (each.isClosed = true)),
      };
    },
  });
  servers.replace([
    { address: '10.0.0.1', port: 53 },
    { address: '10.0.0.2', port: 53 },
  ]);
  const ask = (name = 'db.test', signal = new AbortController().signal): Promise<NameAnswer> =>
    servers.ask(name, 4, signal);
  return { clock, servers, sent, ask };
}

const record: DnsRecord = { type: 'A', name: 'db.test', address: '192.0.2.7', ttlSeconds: 5 };
const address: NameAnswer = { kind: 'addresses', addresses: ['192.0.2.7'], ttlMs: 5_000 };

function respond(
  { message, listener, isClosed }: Sent,
  change: Partial<DnsMessage> = {},
  ...records: readonly DnsRecord[]
): void {
  if (isClosed) return;
  const answers = (records.length === 0 ? [record] : records).map(toResource);
  listener.onMessage(
    encodeMessage({ ...message, isResponse: true, additionals: [], answers, ...change }),
  );
}

test('a server that is slower than usual is given up to no one: the next is asked beside it, and either answer counts', async () => {
  const { clock, sent, ask, servers } = openFixture();
  const answer = ask();
  await clock.advance(300);
  expect(sent.map(({ server, atMs }) => [server, atMs])).toEqual([
    ['one', 0],
    ['other', 300],
  ]);
  // The first one answers late, to the first message.
  await clock.advance(150);
  respond(sent[0]!);
  expect(await answer).toEqual(address);
  expect(sent.every(({ isClosed }) => isClosed)).toBe(true);
  expect(servers.getStats?.()).toMatchObject({ queries: 2, hedges: 1 });
});

test('a silent server is asked last for 30 s, by every name', async () => {
  const { clock, sent, ask } = openFixture((each) => {
    if (each.server === 'other') queueMicrotask(() => respond(each));
  });
  await clock.settle(ask('a.test').catch(() => {}));
  expect(sent.map(({ server }) => server)).toEqual(['one', 'other']);
  await ask('b.test').catch(() => {});
  expect(sent.slice(2).map(({ server }) => server)).toEqual(['other']);
  await clock.advance(30_000);
  await clock.settle(ask('c.test'));
  expect(sent.slice(3).map(({ server }) => server)).toEqual(['one', 'other']);
});

test('after a few answers the next server is asked as soon as the first is slower than almost always', async () => {
  const { clock, sent, ask } = openFixture((each) => {
    if (!each.message.questions[0]?.name.toLowerCase().startsWith('slow')) {
      clock.schedule(5, () => respond(each));
    }
  });
  for (let call = 0; call < 20; call += 1) await clock.settle(ask());
  sent.length = 0;
  const abort = new AbortController();
  const slow = ask('slow.test', abort.signal);
  await clock.advance(25);
  expect(sent.map(({ server }) => server)).toEqual(['one', 'other']);
  abort.abort(new Error('enough'));
  await expect(slow).rejects.toThrow('enough');
});

test.each([
  ['another id', (sent: Sent) => respond(sent, { id: sent.message.id ^ 1 })],
  ['no response', (sent: Sent) => respond(sent, { isResponse: false })],
  [
    'another name',
    (sent: Sent) =>
      respond(sent, { questions: [{ ...sent.message.questions[0]!, name: 'other.test' }] }),
  ],
  [
    'another type',
    (sent: Sent) => respond(sent, { questions: [{ ...sent.message.questions[0]!, type: 28 }] }),
  ],
  ['no question', (sent: Sent) => respond(sent, { questions: [] })],
  ['noise', (sent: Sent) => sent.listener.onMessage(Buffer.from([1, 2, 3]))],
] as const)(
  'an answer with %s is ignored, and the true one after it counts',
  async (_what, forge) => {
    const { clock, servers, sent, ask } = openFixture();
    const answer = ask();
    await clock.advance(1);
    forge(sent[0]!);
    respond(sent[0]!);
    expect(await answer).toEqual(address);
    expect(servers.getStats?.()).toMatchObject({ ignoredAnswers: 1, queries: 1 });
  },
);

test('an answer that has lost the letter case of the question is asked for again over TCP', async () => {
  const { clock, sent, ask } = openFixture();
  const answer = ask('database.test');
  await clock.advance(1);
  const [question] = sent[0]!.message.questions;
  expect(question?.name).not.toBe('database.test');
  const wrong = { ...record, name: 'database.test', address: '192.0.2.66' };
  respond(sent[0]!, { questions: [{ ...question!, name: 'database.test' }] }, wrong);
  expect(sent.map(({ protocol }) => protocol)).toEqual(['udp', 'tcp']);
  respond(sent[1]!, {}, { ...record, name: 'database.test' });
  expect(await answer).toEqual(address);
});

test('ids and letter case differ from question to question', async () => {
  const { sent, ask } = openFixture((each) => queueMicrotask(() => respond(each)));
  for (let call = 0; call < 50; call += 1) await ask();
  expect(new Set(sent.map(({ message }) => message.id)).size).toBeGreaterThan(45);
  expect(new Set(sent.map(({ message }) => message.questions[0]?.name)).size).toBeGreaterThan(20);
});

test('an answer that does not fit into a datagram is fetched over TCP', async () => {
  const { clock, sent, ask } = openFixture();
  const answer = ask();
  await clock.advance(1);
  respond(sent[0]!, { isTruncated: true, answers: [] });
  expect(sent[1]).toMatchObject({ protocol: 'tcp', server: 'one' });
  respond(sent[1]!);
  expect(await answer).toEqual(address);
});

test('a server that knows no extension is asked without it', async () => {
  const { clock, sent, ask } = openFixture();
  const answer = ask();
  await clock.advance(1);
  respond(sent[0]!, { code: 1, questions: [], answers: [] });
  expect(sent.map(({ message }) => message.additionals.length)).toEqual([1, 0]);
  respond(sent[1]!);
  expect(await answer).toEqual(address);
});

test.each([
  ['SERVFAIL', (sent: Sent) => respond(sent, { code: 2, answers: [] })],
  ['REFUSED', (sent: Sent) => respond(sent, { code: 5, answers: [] })],
  ['code 9', (sent: Sent) => respond(sent, { code: 9, answers: [] })],
  [
    'malformed answer',
    (sent: Sent) =>
      respond(sent, { answers: [{ ...toResource(record), data: Buffer.from([1, 2, 3]) }] }),
  ],
  ['ECONNREFUSED', (sent: Sent) => sent.listener.onError({ code: 'ECONNREFUSED' })],
] as const)('%s of one server lets the next answer at once', async (_what, fail) => {
  const { clock, sent, ask } = openFixture();
  const answer = ask();
  await clock.advance(1);
  fail(sent[0]!);
  expect(sent.map(({ server }) => server)).toEqual(['one', 'other']);
  respond(sent[1]!);
  expect(await answer).toEqual(address);
  expect(clock.now()).toBe(1);
});

test('when all servers fail twice, the error says what each of them said', async () => {
  const { clock, sent, ask } = openFixture((each) =>
    queueMicrotask(() => respond(each, { code: each.server === 'one' ? 2 : 5, answers: [] })),
  );
  await expect(clock.settle(ask())).rejects.toMatchObject({
    kind: 'servers',
    answers: expect.arrayContaining(['10.0.0.1:53: SERVFAIL', '10.0.0.2:53: REFUSED']),
  });
  expect(sent).toHaveLength(4);
});

test('a machine without descriptors says so, and nothing about the name', async () => {
  const { clock, ask, servers } = openFixture((each) =>
    queueMicrotask(() => each.listener.onError({ code: 'EMFILE' })),
  );
  await expect(clock.settle(ask())).rejects.toMatchObject({ kind: 'resources' });
  // It is not the servers' fault.
  expect(servers.getStats?.().servers.map((each) => each.consecutiveFailures)).toEqual([0, 0]);
});

test('a lost question is repeated to all servers while there is time, as the same message', async () => {
  const { clock, sent, ask } = openFixture();
  const answer = ask();
  await clock.advance(3_000);
  expect(sent.length).toBeGreaterThan(4);
  expect(new Set(sent.map(({ server, message }) => `${server} ${message.id}`)).size).toBe(2);
  respond(sent.at(-1)!);
  expect(await answer).toEqual(address);
  expect(clock.pendingTimers).toBe(0);
});

const alias = (name: string, target: string, ttlSeconds = 60): DnsRecord => ({
  type: 'CNAME',
  name,
  target,
  ttlSeconds,
});

test.each<[string, NameAnswer, readonly DnsRecord[]]>([
  ['a dangling alias', { kind: 'no-address', ttlMs: 1_000 }, [alias('db.test', 'gone.test')]],
  [
    'a loop of aliases',
    { kind: 'no-address', ttlMs: 1_000 },
    [alias('db.test', 'b.test'), alias('b.test', 'db.test'), record],
  ],
  [
    'a chain with the smallest time to live in the middle',
    { kind: 'addresses', addresses: ['192.0.2.7'], ttlMs: 3_000 },
    [
      alias('db.test', 'b.test'),
      alias('b.test', 'c.test', 3),
      { ...record, name: 'C.test', ttlSeconds: 90 },
    ],
  ],
  [
    'a set of different times to live',
    { kind: 'addresses', addresses: ['192.0.2.7', '192.0.2.8'], ttlMs: 2_000 },
    [record, { ...record, address: '192.0.2.8', ttlSeconds: 2 }],
  ],
  [
    'addresses of another name beside',
    { kind: 'addresses', addresses: ['192.0.2.7'], ttlMs: 5_000 },
    [{ ...record, name: 'evil.test', address: '192.0.2.66', ttlSeconds: 1 }, record],
  ],
])('%s is read as it is meant', async (_what, expected, records) => {
  const { sent, clock, ask } = openFixture();
  const answer = ask();
  await clock.advance(1);
  respond(sent[0]!, {}, ...records);
  expect(await answer).toEqual(expected);
});

test('the record of authority says how long absence is kept; an absurd time to live is 0 or 7 days', async () => {
  const soa = toResource({ type: 'SOA', name: 'test', ttlSeconds: 90, negativeTtlSeconds: 30 });
  const cases = [
    [
      { code: 3, answers: [], authorities: [soa] },
      { kind: 'not-found', ttlMs: 30_000 },
    ],
    [
      { code: 0, answers: [], authorities: [soa] },
      { kind: 'no-address', ttlMs: 30_000 },
    ],
    [
      { code: 3, answers: [] },
      { kind: 'not-found', ttlMs: 1_000 },
    ],
    [{ answers: [{ ...toResource(record), ttlSeconds: 2 ** 31 }] }, { ttlMs: 0 }],
    [{ answers: [{ ...toResource(record), ttlSeconds: 2 ** 31 - 1 }] }, { ttlMs: 7 * 86_400_000 }],
  ] as const;
  for (const [response, expected] of cases) {
    const { sent, clock, ask } = openFixture();
    const answer = ask();
    await clock.advance(1);
    respond(sent[0]!, response);
    expect(await answer).toMatchObject(expected);
  }
});

test('IPv6 addresses are written in their shortest form', async () => {
  const { servers, sent, clock } = openFixture();
  const answer = servers.ask('db.test', 6, new AbortController().signal);
  await clock.advance(1);
  respond(sent[0]!, {}, { type: 'AAAA', name: 'db.test', address: 'FD00:0:0:0:0:0:0:0A1' });
  expect(await answer).toMatchObject({ addresses: ['fd00::a1'] });
});

test('all addresses of a name are known, however many one answer holds', async () => {
  const many: DnsRecord[] = Array.from({ length: 150 }, (_, at) => ({
    ...record,
    address: `192.0.2.${at}`,
  }));
  const { ask } = openFixture((each) => queueMicrotask(() => respond(each, {}, ...many)));
  expect(await ask()).toMatchObject({
    addresses: many.map((each) => propertyOf(each, 'address')),
  });
});
