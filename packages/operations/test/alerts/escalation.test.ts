import { expect, test } from '@jest/globals';
import { kindsOf, openWorld } from './world.ts';

const MINUTE_MS = 60_000;
const redisDown = { name: 'RedisDown', labels: { host: 'a' }, level: 'critical' } as const;

test('the alerts of one outage are one page, after the wait for the group', async () => {
  const world = await openWorld();
  await world.manager.receive(redisDown);
  await world.manager.receive({ ...redisDown, labels: { host: 'b' } });
  await world.advance(999);
  expect(world.got['pager']).toEqual([]);
  await world.advance(10);
  expect(world.got['pager']).toEqual([expect.objectContaining({ kind: 'page', firing: 2 })]);
});

test('nobody is escalated to before the acknowledgement is late, and then each step in turn, in every loop', async () => {
  const world = await openWorld();
  await world.manager.receive(redisDown);
  await world.advance(2_000);
  await world.advance(5 * MINUTE_MS - 2_000);
  expect(world.got['manager']).toEqual([]);
  await world.advance(2_000);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1']);
  await world.advance(10 * MINUTE_MS);
  expect(kindsOf(world, 'pager')).toEqual(['page 0', 'escalation 2']);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1', 'escalation 3']);
  await world.advance(30 * MINUTE_MS);
  expect(kindsOf(world, 'manager')).toHaveLength(2);
});

test('an acknowledgement ends the escalation and the repeats', async () => {
  const world = await openWorld();
  await world.manager.receive(redisDown);
  await world.advance(2_000);
  const [incident] = world.manager.incidents();
  expect(await world.manager.acknowledge(incident?.id ?? '', 'ada')).toBe(true);
  await world.advance(300 * MINUTE_MS);
  expect(kindsOf(world, 'pager')).toEqual(['page 0']);
  expect(world.got['manager']).toEqual([]);
  expect(world.manager.why(redisDown)).toMatchObject({ reason: 'acknowledged' });
});

test('an outage that flaps is one page, and its end goes to everybody who was notified', async () => {
  const world = await openWorld();
  await world.manager.receive(redisDown);
  await world.advance(6 * MINUTE_MS);
  for (let flap = 0; flap < 20; flap += 1) {
    await world.manager.receive({ ...redisDown, status: 'resolved' });
    await world.advance(5_000);
    await world.manager.receive(redisDown);
    await world.advance(1_000);
  }
  await world.manager.receive({ ...redisDown, status: 'resolved' });
  await world.advance(11_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0', 'resolved 1']);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1', 'resolved 1']);
  expect(world.manager.incidents()).toEqual([]);
});

test('a level is throttled: a second outage of its group waits, and is not lost', async () => {
  const world = await openWorld();
  const slow = { name: 'Slow', level: 'low' } as const;
  await world.manager.receive(slow);
  await world.advance(10);
  await world.manager.receive({ ...slow, status: 'resolved' });
  await world.advance(2_000);
  await world.manager.receive(slow);
  await world.advance(30_000);
  expect(kindsOf(world, 'mail')).toEqual(['page 0', 'resolved 0']);
  expect(world.manager.why(slow)).toMatchObject({ reason: 'throttled' });
  await world.advance(31_000);
  expect(kindsOf(world, 'mail')).toEqual(['page 0', 'resolved 0', 'page 0']);
});

test('an unacknowledged group repeats, and further alerts of it are an update', async () => {
  const world = await openWorld();
  const errors = { name: 'Errors', level: 'high' } as const;
  await world.manager.receive(errors);
  await world.advance(10);
  await world.manager.receive({ ...errors, labels: { host: 'b' } });
  await world.advance(MINUTE_MS);
  expect(kindsOf(world, 'chat')).toEqual(['page 0', 'update 0']);
  await world.advance(4 * 60 * MINUTE_MS);
  expect(kindsOf(world, 'chat')).toEqual(['page 0', 'update 0', 'repeat 0']);
});

test('the impact decides the level of a signal that states none', async () => {
  const world = await openWorld();
  await world.manager.receive({ name: 'A', impact: 1_001 });
  await world.manager.receive({ name: 'B', impact: 101 });
  await world.manager.receive({ name: 'C' });
  const levels = ['A', 'B', 'C'].map((name) => world.manager.why({ name }).level);
  expect(levels).toEqual(['high', 'medium', 'low']);
});
