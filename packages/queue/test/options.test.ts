import { expect, test } from '@jest/globals';
import { createQueueAdapter } from '@holdfast/queue';

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
  ['a topic without room', { redis, topics: { t: { maxJobs: 0 } } }, 'topics.t.maxJobs'],
  ['a schema that is none', { redis, topics: { t: { schema: {} } } }, 'topics.t.schema'],
  ['replication to nobody', { redis, acknowledge: 'replicated', replicas: 0 }, 'replicas'],
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

test('a refused address is shown without its password', () => {
  const options = { redis: { url: 'http://user:secret@127.0.0.1' } };
  expect(() => createQueueAdapter(options)).toThrow(/\/\/\*\*\*@127/u);
  expect(() => createQueueAdapter(options)).not.toThrow(/secret/u);
});
