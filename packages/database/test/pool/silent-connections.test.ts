import { expect, test } from '@jest/globals';
import { CallDeadline } from '@holdfast/foundation';
import { fateOf, openPool as open } from './pool-bench.ts';
import { hostError } from './scripted-connection.ts';

test('a connection that was idle for long is pinged, and destroyed without a reply', async () => {
  const { clock, connector, take } = open({ max: 2, acquireTimeoutMs: 10_000 });
  (await take()).release();
  await clock.advance(2_000);
  const [old] = connector.connections;
  old?.prompt.delete('');
  const waiting = take();
  await clock.advance(499);
  expect(old?.sent).toEqual(['']);
  expect(await fateOf(clock, waiting)).toBe('pending');
  await clock.advance(1);
  expect((await waiting).connection).toBe(connector.connections[1]);
  expect(old?.alive).toBe(false);
});

test.each([1, 10, 100])(
  'when %d idle connections are dead in silence, a caller is served within two checks',
  async (count) => {
    const { clock, connector, take, pool } = open({ max: count, acquireTimeoutMs: 10_000 });
    const held = await Promise.all(Array.from({ length: count }, () => take()));
    for (const pooled of held) pooled.release();
    await clock.advance(2_000);
    for (const connection of connector.connections) connection.prompt.delete('');
    const beganMs = clock.now();
    (await clock.settle(take())).release();
    expect(clock.now() - beganMs).toBeLessThanOrEqual(1_000);
    const burst = Promise.all(Array.from({ length: count }, async () => (await take()).release()));
    await clock.settle(burst);
    expect(clock.now() - beganMs).toBeLessThanOrEqual(1_000);
    expect(pool.snapshot().total).toBeLessThanOrEqual(count);
  },
);

test('of connections suspected together those that respond stay', async () => {
  const { clock, connector, take, pool } = open({ max: 4, acquireTimeoutMs: 10_000 });
  const held = await Promise.all(Array.from({ length: 4 }, () => take()));
  for (const pooled of held) pooled.release();
  await clock.advance(2_000);
  // The one used last is checked first.
  connector.connections[3]?.prompt.delete('');
  const served = await clock.settle(take());
  expect([...connector.connections].filter(({ alive }) => !alive)).toHaveLength(1);
  served.release();
  expect(pool.snapshot()).toMatchObject({ idle: pool.snapshot().total });
  for (const connection of connector.connections.slice(0, 3)) expect(connection.sent).toEqual(['']);
});

test('a recently used connection is leased without a ping', async () => {
  const { clock, connector, take } = open();
  (await take()).release();
  await clock.advance(900);
  await take();
  expect(connector.connections[0]?.sent).toEqual([]);
});

test('after one connection was lost every other is pinged before it is leased', async () => {
  const { clock, connector, take } = open({ max: 2 });
  const [one, two] = await Promise.all([take(), take()]);
  await clock.advance(10);
  connector.connections[0]?.lose(hostError('ECONNRESET'));
  one.release();
  await clock.advance(10);
  two.release();
  await clock.settle(take());
  expect(connector.connections[1]?.sent).toEqual(['']);
});

test('idle connections are pinged once for each lease after more than validateAfterIdleMs, and never else', async () => {
  const { clock, connector, take } = open({ max: 1, idleTimeoutMs: 1_000_000 });
  const pings = (): number =>
    connector.connections.flatMap(({ sent }) => sent).filter((sql) => sql === '').length;
  const use = async (): Promise<void> => {
    const pooled = await clock.settle(take());
    connector.connections[0]?.prompt.add('select 1');
    const deadline = new CallDeadline(clock, 1_000);
    await pooled.run({ text: 'select 1' }, deadline);
    deadline.release();
    pooled.release();
  };
  await use();
  for (let lease = 1; lease <= 10; lease += 1) {
    await clock.advance(1_001);
    await use();
    expect(pings()).toBe(lease);
  }
  for (let lease = 0; lease < 10; lease += 1) {
    await clock.advance(1_000);
    await use();
  }
  await clock.advance(60_000);
  expect(pings()).toBe(10);
  expect(connector.attempts).toBe(1);
});

test('a host that is down is tried after 20 ms, then after twice as long up to 200 ms, each with a fifth of jitter', async () => {
  const { clock, connector, take } = open({ acquireTimeoutMs: 10_000 });
  const triedMs: number[] = [];
  connector.decide = () => {
    triedMs.push(clock.now());
    return hostError('ECONNREFUSED');
  };
  const waiting = [1, 2, 3].map(() => take().catch(() => undefined));
  for (let passed = 0; passed < 10_000; passed += 1) await clock.advance(1);
  await Promise.all(waiting);
  const pauses = triedMs.slice(1).map((atMs, at) => atMs - (triedMs[at] ?? 0));
  for (const [at, pauseMs] of pauses.entries()) {
    const wantedMs = Math.min(200, 20 * 2 ** at);
    expect(pauseMs).toBeGreaterThanOrEqual(Math.floor(wantedMs * 0.8));
    expect(pauseMs).toBeLessThanOrEqual(Math.ceil(wantedMs * 1.2) + 1);
  }
  // One attempt at a time for all callers: about five a second.
  expect(triedMs.length).toBeGreaterThan(40);
  expect(triedMs.length).toBeLessThan(66);
});
