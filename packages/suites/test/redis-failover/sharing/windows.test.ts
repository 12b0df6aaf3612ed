import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { AOF_NO_FSYNC, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { untilDirect } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 'windows';
const WINDOW_MS = 200;

const opened: RedisFixture[] = [];

afterEach(async () => {
  for (const fixture of opened.splice(0)) await fixture.close();
});

test('what was accepted during an outage is merged and dropped by when it was enqueued, not by when it arrives', async () => {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  opened.push(fixture);
  const { redis } = fixture;
  const queue = fixture.queue({ directory: await fixture.directory() });
  await queue.ready();
  await redis.kill();
  await nextEvent(queue, 'disconnected');
  const first = { debounce: { key: 'first', windowMs: WINDOW_MS } };
  const last = { debounce: { key: 'last', windowMs: WINDOW_MS, mode: 'replace' } } as const;
  const since = performance.now();
  const windows = [0, 1];
  for (const window of windows) {
    await waitUntil(async () => performance.now() - since > window * 2 * WINDOW_MS);
    await Promise.all([
      queue.enqueue(TOPIC, `first ${window}`, first),
      queue.enqueue(TOPIC, `late for ${window}`, first),
      queue.enqueue(TOPIC, `replaced ${window}`, last),
      queue.enqueue(TOPIC, `last ${window}`, last),
    ]);
  }
  const expired = nextEvent(queue, 'expired');
  await queue.enqueue(TOPIC, 'stale', { expiresInMs: 1 });
  expect(queue.getStats().backlog.jobs).toBe(9);
  await redis.start();
  await untilDirect(queue);
  const handled: unknown[] = [];
  queue.process(TOPIC, ({ payload }) => void handled.push(payload));
  await expect(expired).resolves.toMatchObject({ topic: TOPIC, expiresInMs: 1 });
  await fixture.untilHandled(TOPIC);
  const kept = windows.flatMap((window) => [`first ${window}`, `last ${window}`]);
  expect(new Set(handled)).toEqual(new Set(kept));
  expect(handled).toHaveLength(kept.length);
  expect(queue.getStats()).toMatchObject({ expired: 1, backlog: { jobs: 0 } });
});
