import { expect, test } from '@jest/globals';
import { createRedisBackend } from '@holdfast/queue/contract';
import { openArena } from '../../src/arena.ts';
import { untilTrue } from '../../src/field.ts';

const TOPIC = 't';
const STREAM = `holdfast:{${TOPIC}}:jobs`;
const GROUP = 'holdfast';
const LEASE_MS = 300;

test('a consumer that died leaves the list of its group, and one that holds a job stays on it', async () => {
  const arena = await openArena({});
  const backend = createRedisBackend({ redis: arena.server });
  backend.open({
    connected: () => undefined,
    attemptFailed: () => undefined,
    disconnected: () => undefined,
  });
  const subscription = backend.subscribe(TOPIC, LEASE_MS);
  try {
    await subscription.whenUp(new AbortController().signal);
    await subscription.recover([], 1);
    await arena.admin(async (client) => {
      await client.xgroup('CREATECONSUMER', STREAM, GROUP, 'dead');
      const names = async (): Promise<string[]> => {
        const listed: unknown = await client.xinfo('CONSUMERS', STREAM, GROUP);
        return Array.isArray(listed) ? listed.map((info: unknown[]) => String(info[1])) : [];
      };
      const job = {
        sequence: 1,
        id: 'a',
        unique: false,
        enqueuedAtMs: 1,
        dueAtMs: 0,
        payload: '1',
      };
      const marks = { ownerEpoch: 1, originEpoch: 1, floor: 0, previous: 0 };
      await backend.publish({ topic: TOPIC, producer: 'p', ...marks, jobs: [job] });
      const held: string[] = [];
      await untilTrue(async () => {
        held.push(...(await subscription.fetch(1)).map(({ handle }) => handle));
        return held.length > 0;
      });
      expect(await names()).toHaveLength(2);
      await untilTrue(async () => {
        await subscription.recover(held, 1);
        return !(await names()).includes('dead');
      });
      expect(await names()).toHaveLength(1);
    });
  } finally {
    await subscription.close();
    await backend.close();
    await arena.close();
  }
});
