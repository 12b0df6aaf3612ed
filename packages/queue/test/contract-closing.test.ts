import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryBackend } from '@holdfast/queue';
import { OpenedBackends } from '../src/contract/opened.ts';
import { fetchAll, untilRecovered } from '../src/contract/jobs.ts';
import { FakeBackend } from './fake/fake-backend.ts';

test('what a test of a backend has subscribed and not closed is closed before the backend', async () => {
  const opened = new OpenedBackends();
  const steps: string[] = [];
  const fake = new FakeBackend();
  fake.up();
  const subscribe = fake.subscribe.bind(fake);
  let count = 0;
  fake.subscribe = (...given) => {
    const name = (count += 1);
    return Object.assign(subscribe(...given), {
      close: async () => void steps.push(`consumer ${name}`),
    });
  };
  const close = async (): Promise<void> => void steps.push('backend');
  const backend = await opened.open(async () => ({ backend: fake, close }));
  const [closed, failing] = [1, 2, 3].map(() => backend.subscribe('t', 100));
  await closed?.close();
  if (failing !== undefined) failing.close = () => Promise.reject(new Error('it is broken'));
  await expect(opened.close()).rejects.toThrow('it is broken');
  expect(steps).toEqual(['consumer 1', 'consumer 3', 'backend']);
  await opened.close();
  expect(steps).toHaveLength(3);
});

test.each(['memory', 'fake'])(
  'a test that waits for jobs that never come ends by itself, on the %s backend',
  async (kind) => {
    const fake = new FakeBackend();
    fake.up();
    const backend = kind === 'memory' ? createMemoryBackend() : fake;
    const consumer = backend.subscribe('t', 100);
    const clock = createFakeClock();
    const missing = clock.settle(fetchAll(consumer, 1, clock));
    const advancing = clock.advance(60_000);
    await expect(missing).rejects.toThrow('0 of 1 jobs');
    await advancing;
    await expect(clock.settle(untilRecovered(consumer, clock))).rejects.toThrow('no job');
    await consumer.close();
    await backend.close();
  },
);
