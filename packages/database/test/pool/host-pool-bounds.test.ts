import { expect, test } from '@jest/globals';
import { CallDeadline } from '@holdfast/foundation';
import { type PoolBench, codeOf, fateOf, openPool as open } from './pool-bench.ts';
import { hostError } from './scripted-connection.ts';

/** Leases so many connections at once and returns them, so that they are idle. */
async function warm({ take }: PoolBench, count: number): Promise<void> {
  const held = await Promise.all(Array.from({ length: count }, () => take()));
  for (const pooled of held) pooled.release();
}

test.each([
  [0, 10_000],
  [1, 9_000],
])(
  'with the random number %i a connection is used until %i ms of the 10 s of its lifetime, and closed when it is returned then',
  async (drawn, lifetimeMs) => {
    const { clock, connector, take } = open({
      max: 1,
      maxLifetimeMs: 10_000,
      validateAfterIdleMs: 60_000,
      random: () => drawn,
    });
    const first = await take();
    await clock.advance(lifetimeMs - 1);
    first.release();
    const again = await take();
    expect(connector.attempts).toBe(1);
    await clock.advance(1);
    again.release();
    expect(connector.connections[0]?.closed).toBe(true);
  },
);

test('a connection that the server asks to close is closed when it is returned', async () => {
  const { connector, pool, take } = open({ max: 1 });
  const pooled = await take();
  const [connection] = connector.connections;
  if (connection !== undefined) connection.mustClose = true;
  pooled.release();
  expect([connection?.closed, pool.snapshot().total]).toEqual([true, 0]);
});

test.each([
  [1, 3, 3],
  [5, 2, 5],
  [0, 1, 1],
])(
  'with maxWaiting %i and max %i as many as %i callers wait at once, and not one more',
  async (maxWaiting, max, most) => {
    const { clock, connector, pool, take } = open({ maxWaiting, max });
    connector.failure = hostError('ECONNREFUSED');
    const callers = Array.from({ length: most + 1 }, () => fateOf(clock, take()));
    expect(pool.snapshot().waiting).toBe(most);
    const pending = Array.from({ length: most }, () => 'pending');
    expect(await Promise.all(callers)).toEqual([...pending, 'DATABASE_POOL_OVERLOADED']);
  },
);

test('a connection returned twice is returned once', async () => {
  const bench = open({ max: 1 });
  const pooled = await bench.take();
  await bench.clock.advance(30);
  pooled.release();
  pooled.release();
  expect(bench.pool.snapshot()).toMatchObject({ idle: 1, busy: 0, total: 1 });
  expect(bench.pool.getStats()).toMatchObject({ acquired: 1, useMs: { count: 1, sumMs: 30 } });
});

test('the statistics tell how long callers waited and what became of connections', async () => {
  const { clock, connector, pool, take } = open({ max: 1 });
  const held = await take();
  const waiting = take();
  const late = take(10).catch(codeOf);
  await clock.advance(40);
  expect(await late).toBe('DATABASE_ACQUIRE_TIMEOUT');
  held.release();
  const next = await waiting;
  expect(pool.getStats().waitMs).toMatchObject({ count: 2, sumMs: 40 });
  connector.connections[0]?.lose(hostError('ECONNRESET'));
  next.release();
  (await clock.settle(take())).release();
  pool.renew();
  expect(pool.getStats()).toMatchObject({
    acquired: 3,
    acquireTimeouts: 1,
    lost: 1,
    connects: 2,
    retired: 1,
    waitMs: { count: 3 },
  });
});

test('after the name leads elsewhere no connection is used again: idle ones close at once, others when returned', async () => {
  const { connector, pool, take } = open({ max: 3 });
  const [one, two] = await Promise.all([take(), take()]);
  two.release();
  pool.renew();
  expect(connector.connections.map(({ closed }) => closed)).toEqual([false, true]);
  one.release();
  expect(connector.connections[0]?.closed).toBe(true);
  expect((await take()).connection).toBe(connector.connections[2]);
});

test.each([
  [false, true],
  [true, false],
])(
  'a drained host (fenced: %p) sends its callers elsewhere; its connections are kept: %p',
  async (fenced, areKept) => {
    const { clock, connector, pool, take } = open({ max: 2 });
    await Promise.all([take(), take()]);
    const waiting = take().catch((error: unknown) => error);
    pool.drain(fenced);
    expect(String(await waiting)).toContain('db:5432');
    expect(connector.connections.map(({ alive }) => alive)).toEqual([areKept, areKept]);
    expect(pool.snapshot()).toMatchObject({ waiting: 0, total: areKept ? 2 : 0 });
    expect(await fateOf(clock, take())).toBe(areKept ? 'pending' : 'served');
  },
);

test('closing serves those who wait already, closes each connection once it is returned, and then is over', async () => {
  const { clock, connector, pool, take } = open({ max: 2 });
  const [one, two] = await Promise.all([take(), take()]);
  const waiting = take();
  const closed = pool.close();
  one.release();
  const served = await waiting;
  two.release();
  expect(connector.connections.map((connection) => connection.closed)).toEqual([false, true]);
  expect(await fateOf(clock, closed)).toBe('pending');
  served.release();
  expect(await fateOf(clock, closed)).toBe('served');
  expect(connector.connections[0]?.closed).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('closing a pool whose connections are idle, or that has none, is over at once', async () => {
  for (const count of [0, 2]) {
    const bench = open({ max: 2 });
    await warm(bench, count);
    expect(await fateOf(bench.clock, bench.pool.close())).toBe('served');
    expect(bench.connector.connections.every(({ closed }) => closed)).toBe(true);
    expect(bench.clock.pendingTimers).toBe(0);
  }
});

test('closing ends an attempt that nobody needs any more, and leaves no connection of it', async () => {
  const { clock, connector, pool, take } = open({ max: 1 });
  connector.gate = new Promise(() => undefined);
  const abort = new AbortController();
  const waiting = take(1_000, abort.signal).catch(() => 'gone');
  abort.abort();
  await waiting;
  expect(pool.snapshot().connecting).toBe(1);
  expect(await fateOf(clock, pool.close())).toBe('served');
  expect([pool.snapshot().total, connector.connections, clock.pendingTimers]).toEqual([0, [], 0]);
});

test('closing lets an attempt go on for a call that waits, and ends it once no call does', async () => {
  for (const connects of [true, false]) {
    const { clock, connector, pool, take } = open({ max: 2 });
    const connecting = Promise.withResolvers<void>();
    connector.gate = connecting.promise;
    const taken = take(1_000);
    const fate = fateOf(clock, taken);
    const closed = pool.close();
    expect([await fate, await fateOf(clock, closed)]).toEqual(['pending', 'pending']);
    const released = taken.then(
      (pooled) => pooled.release(),
      () => undefined,
    );
    if (connects) connecting.resolve();
    else await clock.advance(1_000);
    await released;
    expect(await fateOf(clock, closed)).toBe('served');
    expect(connector.connections.map(({ closed: isClosed }) => isClosed)).toEqual(
      connects ? [true] : [],
    );
  }
});

test('what closing gives up is canceled at the server first, and an idle connection is not', async () => {
  const { clock, connector, pool, take } = open({ max: 2 });
  const [busy, idle] = await Promise.all([take(), take()]);
  idle.release();
  const deadline = new CallDeadline(clock, 60_000);
  const running = busy.run({ text: 'select slow()' }, deadline).catch(() => 'ended');
  pool.destroyAll();
  expect(await clock.settle(running)).toBe('ended');
  await clock.settle(pool.close());
  expect(connector.connections.map(({ cancels }) => cancels)).toEqual([1, 0]);
  expect(connector.connections.map(({ alive }) => alive)).toEqual([false, false]);
});

test.each([
  [true, true, ['discard all']],
  [true, false, []],
  [false, true, []],
])(
  'with resetOnRelease %p a connection that holds state %p is returned after %j',
  async (resetOnRelease, holdsState, sent) => {
    const { clock, connector, take } = open({ max: 1, resetOnRelease });
    const pooled = await take();
    const [connection] = connector.connections;
    connection?.prompt.add('discard all');
    pooled.holdsState = holdsState;
    pooled.release();
    const next = await clock.settle(take());
    expect([next.connection === connection, connection?.sent]).toEqual([true, sent]);
    next.release();
    await clock.settle(take());
    expect(connection?.sent).toEqual(sent);
  },
);

test('an open transaction is rolled back before the session is reset', async () => {
  const { clock, connector, take } = open({ max: 1, resetOnRelease: true });
  const pooled = await take();
  const [connection] = connector.connections;
  connection?.prompt.add('discard all');
  if (connection !== undefined) connection.status = 'T';
  pooled.holdsState = true;
  pooled.release();
  await clock.settle(take());
  expect(connection?.sent).toEqual(['rollback', 'discard all']);
});

test.each([
  [undefined, [true, false, true]],
  [true, [true, true]],
])(
  'with holdsProcess %p a connection keeps the process alive while it is leased: %j',
  async (holdsProcess, held) => {
    const { connector, take } = open(
      { max: 1 },
      holdsProcess === undefined ? {} : { holdsProcess },
    );
    const first = await take();
    const calls: boolean[] = [true];
    const [connection] = connector.connections;
    if (connection !== undefined) connection.hold = (holds) => void calls.push(holds);
    first.release();
    await take();
    expect(calls).toEqual(held);
  },
);

test('the holder of a connection is notified when it is lost, or destroyed by the pool, and not after its release', async () => {
  const { connector, pool, take } = open({ max: 3 });
  const notified: unknown[] = [];
  const held = await Promise.all([take(), take(), take()]);
  for (const [at, pooled] of held.entries()) {
    pooled.onClose = (error) => notified.push([at, error]);
  }
  const error = hostError('ECONNRESET');
  connector.connections[0]?.lose(error);
  held[1]?.release();
  expect(notified).toEqual([[0, error]]);
  pool.drain(true);
  expect(notified).toEqual([
    [0, error],
    [2, undefined],
  ]);
});

test('a lost connection is announced with its time, and whether it was leased', async () => {
  const bench = open({ max: 2 });
  const seen: unknown[] = [];
  bench.events.on('lost', ({ host, leased, atMs }) => seen.push([host, leased, atMs]));
  await warm(bench, 2);
  await bench.take();
  await bench.clock.advance(7);
  const atMs = bench.clock.now();
  for (const connection of bench.connector.connections) connection.lose(hostError('ECONNRESET'));
  expect(seen).toEqual([
    ['db:5432', false, atMs],
    ['db:5432', true, atMs],
  ]);
});

test('a call that was aborted before gets no connection but its own reason, and nobody waits for it', async () => {
  const bench = open({ max: 1 });
  await warm(bench, 1);
  await expect(bench.take(1_000, AbortSignal.abort('enough'))).rejects.toBe('enough');
  expect(bench.pool.getStats()).toMatchObject({ idle: 1, waiting: 0, acquireTimeouts: 0 });
});

test('the state of the pool names the error of the last attempt until one succeeds', async () => {
  const { clock, connector, pool, take } = open({ max: 1 });
  expect(pool.snapshot()).not.toHaveProperty('connectError');
  connector.failure = hostError('ECONNREFUSED');
  const waiting = take();
  await clock.advance(30);
  expect(pool.snapshot().connectError).toContain('ECONNREFUSED');
  connector.failure = undefined;
  await clock.settle(waiting);
  expect(pool.snapshot()).not.toHaveProperty('connectError');
});

test('an idle connection that is lost leaves the idle ones', async () => {
  const bench = open({ max: 2 });
  await warm(bench, 2);
  bench.connector.connections[1]?.lose(hostError('ECONNRESET'));
  expect(bench.pool.snapshot()).toMatchObject({ idle: 1, total: 1, busy: 0 });
  expect((await bench.take()).connection).toBe(bench.connector.connections[0]);
});

test('one caller causes one ping at a time, and no connection is opened while it may be answered', async () => {
  const bench = open({ max: 4, acquireTimeoutMs: 10_000 });
  await warm(bench, 2);
  await bench.clock.advance(2_000);
  for (const connection of bench.connector.connections) connection.prompt.delete('');
  const waiting = bench.take();
  expect(bench.connector.connections.map(({ sent }) => sent.length)).toEqual([0, 1]);
  await bench.clock.advance(400);
  expect([bench.connector.attempts, bench.pool.snapshot().idle]).toEqual([2, 1]);
  bench.connector.connections[1]?.answer();
  expect((await waiting).connection).toBe(bench.connector.connections[1]);
  expect(bench.connector.connections[0]?.sent).toEqual([]);
});

test('a connection whose reset is not answered in time is destroyed, and the caller gets another one', async () => {
  const { clock, connector, pool, take } = open({ max: 1, resetOnRelease: true });
  const pooled = await take();
  pooled.holdsState = true;
  pooled.release();
  const waiting = take();
  await clock.advance(499);
  expect(await fateOf(clock, waiting)).toBe('pending');
  await clock.advance(1);
  expect((await waiting).connection).toBe(connector.connections[1]);
  expect([connector.connections[0]?.alive, pool.snapshot().total]).toEqual([false, 1]);
});

test('when the last one who waited has given up, a host that is down is not tried again', async () => {
  const { clock, connector, take } = open({ max: 1 });
  connector.failure = hostError('ECONNREFUSED');
  const waiting = take(50).catch(codeOf);
  expect(await clock.settle(waiting)).toBe('DATABASE_ACQUIRE_TIMEOUT');
  expect(clock.pendingTimers).toBe(0);
  const { attempts } = connector;
  await clock.advance(10_000);
  expect(connector.attempts).toBe(attempts);
});
