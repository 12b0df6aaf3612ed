import { dirname } from 'node:path';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { openStage } from '../../src/stage.ts';
import { listWorkingIn, readProcess } from '../../src/system/process-table.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { redisValue } from './redis-contract.ts';

const POLL_MS = 1;
/** In microseconds for each key: its child saves for longer than a test lasts. */
const SLOW_SAVING = { 'rdb-key-save-delay': '60000000' };

type Opened = Awaited<ReturnType<typeof openStage<{ redis: true }>>>;

test.each([
  ['is killed', (stage: Opened) => stage.redis.kill()],
  ['is stopped', (stage: Opened) => stage.redis.stop()],
  [
    'is killed while frozen',
    (stage: Opened) => stage.redis.freeze().then(() => stage.redis.kill()),
  ],
  ['is closed', (stage: Opened) => stage.close()],
  ['ends by itself', (stage: Opened, pid: number) => endOf(stage, pid)],
])('the child that saves for a Redis is gone once that %s', async (_, end) => {
  const options = { mode: 'local', redis: { settings: SLOW_SAVING } } as const;
  const stage: Opened = closeAfterTest(await openStage(options));
  const said = (await redisValue(stage.redis, ['INFO'])) ?? '';
  const field = (name: string): string => new RegExp(`^${name}:(.*)\r$`, 'm').exec(said)?.[1] ?? '';
  const folder = dirname(field('config_file'));
  await redisValue(stage.redis, ['SET', 'key', 'value']);
  await redisValue(stage.redis, ['BGSAVE']);
  const limit = AbortSignal.timeout(10_000);
  while (listWorkingIn(folder).length < 2) await sleep(systemClock, POLL_MS, limit);

  await end(stage, Number(field('process_id')));

  expect(stage.redis.state).toBe('stopped');
  expect(listWorkingIn(folder)).toEqual([]);
});

/** Another program kills the server, and nobody its child. */
async function endOf({ redis }: Opened, pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  const limit = AbortSignal.timeout(10_000);
  while (redis.state !== 'stopped') await sleep(systemClock, POLL_MS, limit);
  expect(readProcess(pid)).toBeUndefined();
}
