import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { kindsOf, openWorld } from './world.ts';

const down = { name: 'Down', level: 'critical' } as const;

test('a restart neither repeats nor loses: page, escalation, acknowledgement, end', async () => {
  let world = await openWorld();
  await world.manager.receive(down);
  world = await world.restart();
  await world.advance(1_100);
  world = await world.restart();
  await world.advance(200_000);
  world = await world.restart();
  await world.advance(101_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0']);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1']);
  await world.manager.acknowledge(world.manager.incidents()[0]?.id ?? '', 'ada');
  world = await world.restart();
  await world.advance(7_200_000);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1']);
  await world.manager.receive({ ...down, status: 'resolved' });
  world = await world.restart();
  await world.advance(11_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0', 'resolved 1']);
});

test('what was on its way when the process ended is sent again under the same id', async () => {
  let world = await openWorld();
  const ids: string[] = [];
  world.behave['pager'] = ({ id }) => {
    ids.push(id);
    return ids.length === 1 ? new Promise(() => {}) : Promise.resolve();
  };
  await world.manager.receive(down);
  await world.advance(1_100);
  world = await world.restart();
  await world.advance(1_000);
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(1);
});

test('a wall clock that is set back before a restart delays nothing', async () => {
  let world = await openWorld();
  await world.manager.receive(down);
  await world.advance(1_100);
  world.clock.stepWallClock(-86_400_000);
  world = await world.restart();
  await world.advance(300_000);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1']);
});

test('a compacted log says the same as the whole', async () => {
  let world = await openWorld({ duties: { backup: { everyMs: 86_400_000 } } });
  const random = seededRandom(18);
  for (let change = 0; change < 6_000; change += 1) {
    const labels = { host: String(Math.floor(random() * 400)) };
    await world.manager.receive({
      name: 'Errors',
      level: 'high',
      labels,
      status: random() < 0.6 ? 'firing' : 'resolved',
    });
    if (change % 50 === 0) await world.advance(20_000);
  }
  await world.manager.receive(down);
  await world.advance(310_000);
  const before = { ...world.manager.getStats(), incidents: world.manager.incidents() };
  expect(world.journal.first).toBeGreaterThan(1);
  world = await world.restart();
  const { firing, undelivered } = world.manager.getStats();
  expect({ firing, undelivered, incidents: world.manager.incidents() }).toEqual({
    firing: before.firing,
    undelivered: before.undelivered,
    incidents: before.incidents,
  });
});

test('a log that cannot be written holds no page back, and says so', async () => {
  const world = await openWorld();
  const failures: unknown[] = [];
  world.manager.on('log-failed', (event) => failures.push(event));
  await world.journal.close();
  await world.manager.receive(down);
  await world.advance(2_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0']);
  expect(failures.length).toBeGreaterThan(0);
  expect(world.manager.getStats().unlogged).toBeGreaterThan(0);
});
