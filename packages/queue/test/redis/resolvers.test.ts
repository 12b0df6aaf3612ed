import { expect, test } from '@jest/globals';
import { majorityAnswer } from '../../src/redis/resolver/one-off-command.ts';
import { SentinelResolver } from '../../src/redis/resolver/sentinel-resolver.ts';
import { slotOfTopic } from '../../src/redis/resolver/slot.ts';
import { createFakeClock } from '@holdfast/foundation/testing';
import { BackendError } from '../../src/errors.ts';
import { Redis } from 'ioredis';

const say = (answer: string): Promise<string> => Promise.resolve(answer);
const silent = new Promise<string>(() => undefined);
const down = (): Promise<string> => Promise.reject(new BackendError('unreachable', 'refused'));

test('an answer of more than half is returned without waiting for the others', async () => {
  await expect(majorityAnswer([say('a'), silent, say('a')])).resolves.toBe('a');
  const late = new Promise<string>((resolve) => {
    setImmediate(() => resolve('new'));
  });
  await expect(majorityAnswer([say('old'), late, late])).resolves.toBe('new');
});

test('when some do not answer, the most frequent answer is returned', async () => {
  await expect(majorityAnswer([down(), down(), say('a')])).resolves.toBe('a');
});

test('when there is no answer, a rejection is reported rather than a timeout', async () => {
  const denied = Promise.reject(new BackendError('denied', 'NOAUTH'));
  await expect(majorityAnswer([down(), denied])).rejects.toMatchObject({
    errorClass: 'denied',
    message: expect.stringMatching(/NOAUTH/u),
  });
  const nobody = Promise.resolve(undefined);
  await expect(majorityAnswer([nobody])).rejects.toMatchObject({ errorClass: 'unreachable' });
});

test('a server that the Sentinels name is not used while it is demoted or not promoted yet', async () => {
  const route = new SentinelResolver({
    clock: createFakeClock(),
    connectTimeoutMs: 1,
    pingIntervalMs: 1,
    sentinels: [{ host: '127.0.0.1', port: 1 }],
    name: 'm',
    sentinelPassword: undefined,
    login: { username: undefined, password: undefined, tls: false },
  });
  const client = new Redis({ lazyConnect: true, host: 'h', port: 1 });
  client.role = () => Promise.resolve(['slave', 'x', 1, 'connected', 1]);
  await expect(route.verify(client)).rejects.toMatchObject({
    errorClass: 'unreachable',
    message: 'Redis: h:1 is a slave, not the primary',
  });
  client.role = () => Promise.resolve(['master', 1, []]);
  await expect(route.verify(client)).resolves.toBeUndefined();
  client.disconnect();
});

test.each([
  ['123456789', 12_739],
  ['foo', 12_182],
])('the topic %s has the slot that a cluster gives it', (topic, slot) => {
  expect(slotOfTopic(topic)).toBe(slot);
});
