import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { type QueueOptions, createQueueAdapter } from '@holdfast/queue';

const redis = { url: 'redis://127.0.0.1:1' };

test.each<[string, object, string]>([
  ['an unknown option', { redis, retries: 3 }, 'retries'],
  ['no server', {}, 'redis'],
  ['a server of two kinds', { redis: { ...redis, connect: () => undefined } }, 'redis'],
  ['an address of another protocol', { redis: { url: 'http://127.0.0.1' } }, 'redis.url'],
  ['an unknown option of the server', { redis: { ...redis, tls: true } }, 'redis.tls'],
  ['Sentinels without a name', { redis: { sentinels: [{ host: 'h' }] } }, 'redis.name'],
  ['no Sentinel', { redis: { sentinels: [], name: 'm' } }, 'redis.sentinels'],
  ['a Sentinel as text', { redis: { sentinels: ['h:1'], name: 'm' } }, 'redis.sentinels[0]'],
  ['a node without a host', { redis: { cluster: [{ port: 1 }] } }, 'redis.cluster[0].host'],
  ['a cluster with a name', { redis: { cluster: [{ host: 'h' }], name: 'm' } }, 'redis.name'],
  ['a login beside an address', { redis: { ...redis, password: 'p' } }, 'redis.password'],
  ['an unknown option of a topic', { redis, topics: { t: { limit: 1 } } }, 'topics.t.limit'],
  ['topics that are none', { redis, topics: 5 }, 'topics'],
  ['a topic without options', { redis, topics: { t: null } }, 'topics.t'],
  ['a topic of no name', { redis, topics: { 'a{b}': {} } }, 'topic'],
  ['a topic of no partition', { redis, topics: { t: { partitions: 0 } } }, 'topics.t.partitions'],
  ['too many partitions', { redis, topics: { t: { partitions: 65 } } }, 'topics.t.partitions'],
  ['half a partition', { redis, topics: { t: { partitions: 1.5 } } }, 'topics.t.partitions'],
  ['partitions as text', { redis, topics: { t: { partitions: '8' } } }, 'topics.t.partitions'],
  ['a topic without room', { redis, topics: { t: { maxJobs: 0 } } }, 'topics.t.maxJobs'],
  ['a schema that is none', { redis, topics: { t: { schema: {} } } }, 'topics.t.schema'],
  [
    'a schema that cannot validate',
    { redis, topics: { t: { schema: { '~standard': {} } } } },
    'topics.t.schema',
  ],
  ['replication to nobody', { redis, acknowledge: 'replicated', replicas: 0 }, 'replicas'],
  ['no fallback', { redis, fallback: null }, 'fallback'],
  ['an unknown fallback', { redis, fallback: 'disk' }, 'fallback'],
  [
    'a journal without a directory',
    { redis, fallback: { journal: {} } },
    'fallback.journal.directory',
  ],
  [
    'an unknown durability',
    { redis, fallback: { journal: { directory: 'd', durability: 'maybe' } } },
    'fallback.journal.durability',
  ],
  ...[19, 86_400_001, 1.5, '5s', Number.NaN, null].map((ownerStaleMs): [string, object, string] => [
    `an ownerStaleMs of ${ownerStaleMs}`,
    { redis, fallback: { journal: { directory: 'd', ownerStaleMs } } },
    'fallback.journal.ownerStaleMs',
  ]),
  [
    'a prefix with braces in a cluster',
    { redis: { cluster: [{ host: 'h' }] }, prefix: 'app:{x}' },
    'prefix',
  ],
  [
    'a natMap that is no address',
    { redis: { cluster: [{ host: 'h' }], natMap: { 'a:1': 'b:2' } } },
    'redis.natMap.a:1',
  ],
  [
    'a natMap without a port',
    { redis: { cluster: [{ host: 'h' }], natMap: { a: { host: 'b', port: 2 } } } },
    'redis.natMap.a',
  ],
  ['a URL without a host', { redis: { url: 'redis://' } }, 'redis.url'],
  ['a database by name', { redis: { url: 'redis://h/jobs' } }, 'redis.url'],
  ['a database below 0', { redis: { url: 'redis://h/-1' } }, 'redis.url'],
  ['a database in a folder', { redis: { url: 'redis://h/1/2' } }, 'redis.url'],
  ['a database by name in the query', { redis: { url: 'redis://h?db=jobs' } }, 'redis.url'],
  ['an empty database', { redis: { url: 'redis://h?db=' } }, 'redis.url'],
  ['two databases', { redis: { url: 'redis://h/1?db=2' } }, 'redis.url'],
  ['a natMap for one server', { redis: { url: 'redis://h', natMap: {} } }, 'redis.natMap'],
  ['a bound of zero', { redis, maxPendingJobs: 0 }, 'maxPendingJobs'],
  ['a size that is not a number', { redis, maxPayloadBytes: Number.NaN }, 'maxPayloadBytes'],
  ['a deadline as text', { redis, commandTimeoutMs: '1s' }, 'commandTimeoutMs'],
  [
    'delays that contradict each other',
    { redis, reconnect: { initialDelayMs: 600, maxDelayMs: 500 } },
    'reconnect.initialDelayMs',
  ],
])('%s is refused at construction by the name of its field', (_, options, field) => {
  expect(() => Reflect.apply(createQueueAdapter, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

const MISFITS: Record<Exclude<keyof QueueOptions, 'redis'>, unknown> = {
  fallback: 'disk',
  acknowledge: 'always',
  replicas: 101,
  onDisk: 'yes',
  prefix: '',
  maxPayloadBytes: 0,
  maxPendingJobs: 0,
  maxPendingBytes: 0,
  backpressure: 'drop',
  backpressureTimeoutMs: 0,
  topics: 'mail',
  maxTopics: 0,
  maxBacklogJobs: 0,
  maxBacklogBytes: 4_095,
  commandTimeoutMs: Infinity,
  connectTimeoutMs: 0,
  pingIntervalMs: -1,
  reconnect: 25,
  maxDeadLetters: 0,
  jobIdTtlMs: 0.5,
  retainMs: -1,
  maxRetainedBytes: -1,
  markTtlMs: 0,
  tracing: {},
  clock: {},
  random: 4,
};

/** The type requires one for each option. */
test.each(Object.entries(MISFITS))(
  '%s: %j is rejected with the permitted values',
  (field, value) => {
    const refusal: unknown = expect.objectContaining({ code: 'INVALID_OPTION', field, value });
    expect(() => Reflect.apply(createQueueAdapter, undefined, [{ redis, [field]: value }])).toThrow(
      refusal,
    );
  },
);

const SECRET = 'sEcret';
const host = 'h';

test.each<[string, object]>([
  ['a URL of another scheme', { redis: { url: `http://user:${SECRET}@127.0.0.1` } }],
  ['an @ in the password', { redis: { url: `http://u:a@${SECRET}@h` } }],
  ['a slash in the password', { redis: { url: `redis://:a/${SECRET}@h` } }],
  ['a space in the password', { redis: { url: `http://u:a ${SECRET}@h` } }],
  ['a query', { redis: { url: `http://h?password=a@${SECRET}` } }],
  ['a URL that is too long', { redis: { url: `redis://:${SECRET}@${'h'.repeat(3_000)}` } }],
  ['a bad port', { redis: { url: `redis://:${SECRET}@h:port` } }],
  ['a URL in the place of an object', { redis: `redis://u:${SECRET}@h:1` }],
  ['an unknown name for the URL', { redis: { uri: `redis://u:${SECRET}@h` } }],
  ['a URL at the top', { url: `redis://:${SECRET}@h` }],
  ['a password at the top', { redis, password: SECRET }],
  ['the whole options as a URL', new String(`redis://:${SECRET}@h`)],
  ['a password of a Sentinel', { redis: { sentinels: [{ host, password: SECRET }], name: 'm' } }],
  ['Sentinels as a URL', { redis: { sentinels: `redis://:${SECRET}@h`, name: 'm' } }],
  ['a password as a host', { redis: { sentinels: [{ host: SECRET.repeat(50) }], name: 'm' } }],
  ['a password as a port', { redis: { sentinels: [{ host, port: SECRET }], name: 'm' } }],
  ['a node as a URL', { redis: { cluster: [`redis://:${SECRET}@h`] } }],
  ['a password in a list', { redis: { cluster: [{ host }], password: [SECRET] } }],
  ['a password without a server', { redis: { password: SECRET } }],
  ['two servers', { redis: { url: `redis://:${SECRET}@h`, cluster: [{ host }] } }],
  ['a password beside a URL', { redis: { ...redis, password: SECRET } }],
  ['a key in tls', { redis: { cluster: [{ host }], tls: { key: SECRET } } }],
  [
    'an unknown option of the journal',
    { redis, fallback: { journal: { directory: 'd', key: SECRET } } },
  ],
  ['a URL as a fallback', { redis, fallback: `redis://:${SECRET}@h` }],
])('%s: the error shows no password, however it is printed', (_, options) => {
  const error = thrownBy(() => Reflect.apply(createQueueAdapter, undefined, [options]));
  expect(error).toMatchObject({ code: 'INVALID_OPTION' });
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
  expect(JSON.stringify(error)).not.toContain(SECRET);
});

test('a rejected address is shown with its host', () => {
  const options = { redis: { url: `http://user:${SECRET}@127.0.0.1` } };
  expect(() => createQueueAdapter(options)).toThrow(/"http:\/\/\*\*\*@127\.0\.0\.1"/u);
});

function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}
