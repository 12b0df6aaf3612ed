import { expect, test } from '@jest/globals';
import { AlertChannelError } from '@holdfast/operations';
import { kindsOf, openWorld } from './world.ts';

const down = { name: 'Down', level: 'critical' } as const;

test('a channel that fails is tried again until it has the notification, and others do not wait for it', async () => {
  const world = await openWorld();
  let failures = 3;
  world.behave['pager'] = () => {
    failures -= 1;
    return failures >= 0 ? Promise.reject(new Error('down')) : Promise.resolve();
  };
  await world.manager.receive(down);
  await world.manager.receive({ name: 'Other', level: 'high' });
  await world.advance(1_100);
  expect(kindsOf(world, 'chat')).toEqual(['page 0']);
  expect(world.manager.why(down).undelivered).toEqual([
    expect.objectContaining({ channel: 'pager', attempts: 1 }),
  ]);
  await world.advance(10_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0']);
  expect(world.manager.getStats()).toMatchObject({
    failedAttempts: 3,
    undelivered: 0,
    delivered: 2,
  });
});

test('a channel that never answers is given its deadline, also if it ignores its signal', async () => {
  const world = await openWorld();
  world.behave['pager'] = () => new Promise(() => {});
  await world.manager.receive(down);
  await world.advance(11_500);
  expect(world.manager.getStats()).toMatchObject({ failedAttempts: 1, undelivered: 1 });
});

test('a receiver that asks for a pause gets it, at most as long as the longest delay', async () => {
  const world = await openWorld();
  const attempts: number[] = [];
  world.behave['pager'] = () => {
    attempts.push(world.clock.now());
    const limit = { retryable: true, status: 429, retryAfterMs: 30_000 };
    return attempts.length === 1
      ? Promise.reject(new AlertChannelError('pager', 'busy', limit))
      : Promise.resolve();
  };
  await world.manager.receive(down);
  await world.advance(60_000);
  expect((attempts[1] ?? 0) - (attempts[0] ?? 0)).toBe(30_000);
});

test('what the receiver refuses for good is abandoned at once and told, and the escalation goes on', async () => {
  const world = await openWorld();
  world.behave['pager'] = () =>
    Promise.reject(new AlertChannelError('pager', 'wrong key', { retryable: false, status: 401 }));
  const abandoned: unknown[] = [];
  world.manager.on('abandoned', (event) => abandoned.push(event));
  await world.manager.receive(down);
  await world.advance(310_000);
  expect(abandoned).toEqual([expect.objectContaining({ channel: 'pager', reason: 'refused' })]);
  expect(kindsOf(world, 'manager')).toEqual(['escalation 1']);
});

test('the end of an outage never arrives before its begin', async () => {
  const world = await openWorld();
  let isDown = true;
  world.behave['pager'] = () => (isDown ? Promise.reject(new Error('down')) : Promise.resolve());
  await world.manager.receive(down);
  await world.advance(2_000);
  await world.manager.receive({ ...down, status: 'resolved' });
  await world.advance(30_000);
  isDown = false;
  await world.advance(120_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0', 'resolved 0']);
});

test('a channel gets at most its number in an hour; the others wait, the urgent ones first', async () => {
  const world = await openWorld({
    maxPerHour: 2,
    levels: {
      low: { channels: ['mail'], groupWaitMs: 0 },
      critical: { channels: ['mail'], groupWaitMs: 0 },
    },
  });
  await Promise.all([
    ...['A', 'B', 'C'].map((name) => world.manager.receive({ name, level: 'low' })),
    world.manager.receive({ name: 'D', level: 'critical' }),
  ]);
  await world.advance(1_000);
  expect(world.got['mail']?.map(({ labels }) => labels['alertname'])).toEqual(['D', 'A']);
  expect(world.got['mail']).toHaveLength(2);
  await world.advance(3_600_000);
  expect(world.got['mail']).toHaveLength(4);
});

test('more alerts than fit make one alert that says so', async () => {
  const world = await openWorld({ maxAlerts: 5 });
  const receipts: string[] = [];
  for (let host = 0; host < 8; host += 1) {
    receipts.push(await world.manager.receive({ ...down, labels: { host: String(host) } }));
  }
  expect(receipts.slice(4)).toEqual(['fired', 'overflow', 'overflow', 'overflow']);
  await world.advance(2_000);
  const names = world.got['pager']?.map(({ labels }) => labels['alertname']);
  expect(names?.toSorted()).toEqual(['Down', 'HoldfastAlertsOverflow']);
});
