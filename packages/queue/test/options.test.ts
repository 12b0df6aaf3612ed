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

test('a rejected address is shown without its password', () => {
  const options = { redis: { url: 'http://user:secret@127.0.0.1' } };
  expect(() => createQueueAdapter(options)).toThrow(/\/\/\*\*\*@127/u);
  expect(() => createQueueAdapter(options)).not.toThrow(/secret/u);
});
