import { expect, test } from '@jest/globals';
import { kindsOf, openWorld } from './world.ts';

const MINUTE_MS = 60_000;
const down = { name: 'Down', labels: { zone: 'a' }, level: 'critical' } as const;

test('while the cause fires its symptoms notify nobody, and once it is gone they do', async () => {
  const world = await openWorld({
    inhibitions: [
      { source: { alertname: 'Down' }, target: { alertname: ['Slow', 'Errors'] }, equal: ['zone'] },
    ],
  });
  const slow = { name: 'Slow', labels: { zone: 'a' }, level: 'low' } as const;
  await world.manager.receive(down);
  await world.manager.receive(slow);
  await world.manager.receive({ ...slow, labels: { zone: 'b' } });
  await world.advance(2_000);
  // Only the zone without the cause.
  expect(world.got['mail']).toEqual([expect.objectContaining({ kind: 'page' })]);
  expect(world.manager.why(slow)).toMatchObject({
    reason: 'muted',
    mutedBy: expect.stringContaining('Down'),
  });
  expect(world.manager.why({ ...slow, labels: { zone: 'b' } }).mutedBy).toBeUndefined();
});

test('an alert on both sides of a rule does not mute itself', async () => {
  const world = await openWorld({
    inhibitions: [{ source: { zone: 'a' }, target: { zone: 'a' } }],
  });
  await world.manager.receive(down);
  await world.advance(2_000);
  expect(kindsOf(world, 'pager')).toEqual(['page 0']);
});

test('a silence holds everything back for its time, the escalation too, and nothing is lost after it', async () => {
  const world = await openWorld();
  const nowMs = world.clock.epochMs();
  await world.manager.silence({
    id: 'upgrade',
    match: { zone: 'a' },
    startsMs: nowMs,
    endsMs: nowMs + 30 * MINUTE_MS,
    comment: 'planned',
  });
  await world.manager.receive(down);
  await world.advance(29 * MINUTE_MS);
  expect(world.got['pager']).toEqual([]);
  expect(world.manager.why(down).text).toContain('silence upgrade');
  await world.advance(2 * MINUTE_MS);
  expect(kindsOf(world, 'pager')).toEqual(['page 0']);
});

test('a silence that never applies is refused', async () => {
  const { manager, clock } = await openWorld();
  const over = {
    id: 'x',
    match: { a: 'b' },
    startsMs: 0,
    endsMs: clock.epochMs() - 1,
    comment: '',
  };
  await expect(manager.silence(over)).rejects.toMatchObject({ field: 'endsMs' });
  await expect(manager.silence({ ...over, match: {} })).rejects.toMatchObject({ field: 'match' });
});

test('a duty that does not report makes an alert, and its next report resolves it', async () => {
  let world = await openWorld({ duties: { backup: { everyMs: 60 * MINUTE_MS } } });
  await world.advance(30 * MINUTE_MS);
  await world.manager.beat('backup');
  // The time since the last report counts over a restart.
  world = await world.restart();
  await world.advance(59 * MINUTE_MS);
  expect(world.got['chat']).toEqual([]);
  await world.advance(2 * MINUTE_MS);
  expect(world.got['chat']?.[0]).toMatchObject({
    kind: 'page',
    labels: { alertname: 'HoldfastDutyMissed' },
  });
  await world.manager.beat('backup');
  await world.advance(2 * MINUTE_MS);
  expect(kindsOf(world, 'chat')).toEqual(['page 0', 'resolved 0']);
});

test('the dead man switch is pinged while the manager works, and not once it is closed', async () => {
  let pings = 0;
  const ping = (): Promise<number> => Promise.resolve((pings += 1));
  const world = await openWorld({ deadMansSwitch: { ping, everyMs: MINUTE_MS } });
  await world.advance(5 * MINUTE_MS);
  expect(pings).toBe(5);
  await world.clock.settle(world.manager.close());
  await world.advance(5 * MINUTE_MS);
  expect(pings).toBe(5);
  expect(world.clock.pendingTimers).toBe(0);
});
