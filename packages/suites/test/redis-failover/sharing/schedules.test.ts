import { afterEach, expect, test } from '@jest/globals';
import { type SharingProcess, runSharing } from '../../../src/consumers/sharing.ts';
import { AOF_NO_FSYNC, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 'ticking';
const EVERY_MS = 200;
const PROCESSES = 3;

const opened: RedisFixture[] = [];
const running = new Set<SharingProcess>();

afterEach(async () => {
  await Promise.all([...running].map((one) => one.kill()));
  running.clear();
  for (const fixture of opened.splice(0)) await fixture.close();
});

test('three processes with one schedule make one job of each tick, also while Redis is killed and two of them in turn', async () => {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  opened.push(fixture);
  const { redis } = fixture;
  const handled: number[] = [];
  const worker = fixture.queue({ fallback: 'memory' });
  worker.process(TOPIC, ({ id }) => void handled.push(Number(id.split(' ').at(-1))));
  const start = (directory: string): SharingProcess => {
    const one = runSharing({ url: redis.url, directory, topic: TOPIC, everyMs: EVERY_MS });
    running.add(one);
    return one;
  };
  const directories: string[] = [];
  while (directories.length < PROCESSES) directories.push(await fixture.directory());
  const [first = '', second = ''] = directories;
  const processes = directories.map(start);
  const replace = async (index: number, directory: string): Promise<void> => {
    const former = processes[index];
    if (former === undefined) throw new RangeError(`no process ${index}`);
    await former.kill();
    running.delete(former);
    processes[index] = start(directory);
  };
  const journalled = (): number => {
    const all = processes.flatMap(({ reports }) => reports);
    return all.filter((said) => said.kind === 'ticked' && said.accepted === 'journal').length;
  };
  await waitUntil(async () => handled.length >= 10);
  await redis.kill();
  await waitUntil(async () => journalled() >= 3 * PROCESSES);
  await replace(0, first);
  await waitUntil(async () => journalled() >= 6 * PROCESSES);
  await redis.start();
  const before = handled.length;
  await waitUntil(async () => handled.length >= before + 20);
  await replace(1, second);
  await waitUntil(async () => handled.length >= before + 40);
  await Promise.all(processes.map((one) => one.kill()));
  await fixture.untilHandled(TOPIC);
  const ticks = handled.toSorted((one, other) => one - other);
  const [from = 0] = ticks;
  const to = ticks.at(-1) ?? 0;
  const every = Array.from(
    { length: (to - from) / EVERY_MS + 1 },
    (_, index) => from + index * EVERY_MS,
  );
  // A tick that only a killed process had accepted, in its journal, is with its successor.
  expect(new Set(handled).size).toBe(handled.length);
  expect(ticks).toEqual(every);
});
