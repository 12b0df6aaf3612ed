import { expect, test } from '@jest/globals';
import { CallDeadline } from '@holdfast/foundation';
import { codeOf, fateOf, openPool as open } from './pool-bench.ts';
import { hostError, serverError } from './scripted-connection.ts';

test('waiting callers are served in order', async () => {
  const { clock, take } = open({ max: 1 });
  const first = await take();
  const order: number[] = [];
  const others = [1, 2, 3].map(async (which) => {
    const pooled = await take();
    order.push(which);
    pooled.release();
  });
  await clock.advance(0);
  expect(order).toEqual([]);
  first.release();
  await Promise.all(others);
  expect(order).toEqual([1, 2, 3]);
});

test('there are never more connections than max, and a released one goes straight to a waiting caller', async () => {
  const { connector, take } = open({ max: 2 });
  const [one, two] = await Promise.all([take(), take()]);
  const third = take();
  expect(connector.attempts).toBe(2);
  two.release();
  expect((await third).connection).toBe(two.connection);
  expect(one.connection).not.toBe(two.connection);
});

test('a waiting caller rejects at its own deadline with the state of the pool, and leaves nothing behind', async () => {
  const { clock, take } = open({ max: 1, acquireTimeoutMs: 250 });
  const held = await take();
  const late = take().catch((error: unknown) => error);
  await clock.advance(249);
  expect(await fateOf(clock, late)).toBe('pending');
  await clock.advance(1);
  expect(await late).toMatchObject({
    code: 'DATABASE_ACQUIRE_TIMEOUT',
    outcome: 'not-applied',
    phase: 'not-sent',
    waitedMs: 250,
    pool: { busy: 1, waiting: 1, max: 1 },
  });
  held.release();
  expect(await fateOf(clock, take())).toBe('served');
});

test('a call with a deadline shorter than acquireTimeoutMs rejects at its deadline', async () => {
  const { clock, take } = open({ max: 1 });
  await take();
  const late = take(40).catch(codeOf);
  await clock.advance(40);
  expect(await late).toBe('DATABASE_ACQUIRE_TIMEOUT');
});

test('beyond maxWaiting a caller is rejected at once', async () => {
  const { clock, pool, take } = open({ max: 1, maxWaiting: 1 });
  await take();
  const waiting = take();
  expect(await fateOf(clock, take())).toBe('DATABASE_POOL_OVERLOADED');
  expect(await fateOf(clock, waiting)).toBe('pending');
  expect(pool.getStats()).toMatchObject({ overloaded: 1, waiting: 1 });
});

test('with maxWaiting 0 a caller gets a connection that can be opened, and no other waits', async () => {
  const { clock, take } = open({ max: 2, maxWaiting: 0 });
  expect(await fateOf(clock, take())).toBe('served');
  expect(await fateOf(clock, take())).toBe('served');
  expect(await fateOf(clock, take())).toBe('DATABASE_POOL_OVERLOADED');
});

test('an aborted waiting caller rejects within a turn with its own reason, and leaves the queue', async () => {
  const { clock, take, pool } = open({ max: 1 });
  const held = await take();
  const abort = new AbortController();
  const quitter = take(1_000, abort.signal).catch((reason: unknown) => reason);
  const next = take();
  abort.abort('changed my mind');
  expect(await quitter).toBe('changed my mind');
  expect(pool.snapshot().waiting).toBe(1);
  held.release();
  expect(await fateOf(clock, next)).toBe('served');
});

test('while the server is down callers wait, and one connection attempt at a time probes it', async () => {
  const { clock, connector, take } = open({ max: 20, acquireTimeoutMs: 60_000 });
  connector.failure = hostError('ECONNREFUSED');
  const callers = Array.from({ length: 20 }, () => take());
  await clock.advance(1_000);
  expect(connector.attempts).toBeLessThanOrEqual(10);
  const before = connector.attempts;
  await clock.advance(10_000);
  expect(connector.attempts - before).toBeLessThanOrEqual(100);
  expect(connector.attempts - before).toBeGreaterThan(30);
  connector.failure = undefined;
  await clock.advance(200);
  await Promise.all(callers);
  expect(connector.connections).toHaveLength(20);
});

test('a server that accepts and closes at once is tried no more often than one that is down', async () => {
  const { clock, connector, take } = open({ max: 5 });
  const stop = new AbortController();
  const caller = (async () => {
    while (!stop.signal.aborted) {
      const pooled = await take();
      connector.connections.at(-1)?.lose(hostError('ECONNRESET'));
      pooled.release();
    }
  })();
  await clock.advance(3_000);
  expect(connector.attempts).toBeLessThanOrEqual(30);
  stop.abort();
  await clock.settle(caller);
});

test('a lost connection leaves the pool in the same tick, and a waiting caller gets a new one', async () => {
  const { clock, connector, take, pool } = open({ max: 1 });
  await take();
  const waiting = take();
  await clock.advance(500);
  connector.connections[0]?.lose(hostError('ECONNRESET'));
  expect(pool.snapshot()).toMatchObject({ busy: 0, connecting: 1 });
  expect((await waiting).connection).toBe(connector.connections[1]);
});

test('a rejected password rejects waiting callers at once, with that of the server as the cause', async () => {
  const { clock, connector, take } = open();
  connector.failure = serverError('28P01');
  const refused = take().catch((error: unknown) => error);
  await clock.advance(0);
  expect(await refused).toMatchObject({
    code: 'DATABASE_CONNECT_REFUSED',
    sqlState: '28P01',
    retryable: false,
    outcome: 'not-applied',
  });
});

test('53300 lowers the cap to what the server accepts, no call fails, and the cap grows again', async () => {
  const { clock, connector, take, pool } = open({
    max: 20,
    maxWaiting: 1_000,
    acquireTimeoutMs: 60_000,
  });
  let deadline = 8;
  connector.decide = () =>
    connector.connections.filter(({ alive }) => alive).length >= deadline
      ? serverError('53300')
      : undefined;
  let served = 0;
  const serve = async (): Promise<void> => {
    const pooled = await take();
    await clockTurn();
    served += 1;
    pooled.release();
  };
  await Promise.all(Array.from({ length: 600 }, serve));
  expect(served).toBe(600);
  expect(pool.snapshot()).toMatchObject({ cap: 8, total: 8 });
  const attempts = connector.attempts;
  expect(attempts).toBeLessThan(40);
  deadline = 20;
  await clock.advance(2_000);
  await Promise.all(Array.from({ length: 200 }, serve));
  expect(pool.snapshot().cap).toBeGreaterThan(8);
});

function clockTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

test('an open transaction is rolled back before the connection is leased again', async () => {
  const { clock, connector, take } = open({ max: 1 });
  const pooled = await take();
  const [connection] = connector.connections;
  if (connection !== undefined) connection.status = 'T';
  pooled.release();
  const next = await clock.settle(take());
  expect(next.connection).toBe(connection);
  expect(connection?.sent).toEqual(['rollback']);
});

test('a connection that does not roll back in time is destroyed', async () => {
  const { clock, connector, take } = open({ max: 1 });
  const pooled = await take();
  const [connection] = connector.connections;
  connection?.prompt.delete('rollback');
  if (connection !== undefined) connection.status = 'E';
  pooled.release();
  const next = take();
  await clock.advance(500);
  expect((await next).connection).toBe(connector.connections[1]);
  expect(connection?.alive).toBe(false);
});

test('an interrupted query is cancelled, and its connection is not leased before the cancel has ended', async () => {
  const { clock, connector, take } = open({ max: 1 });
  const pooled = await take();
  const [connection] = connector.connections;
  let hangUp = (_over: boolean): void => undefined;
  if (connection !== undefined) {
    connection.cancel = () =>
      new Promise((resolve) => {
        hangUp = resolve;
      });
  }
  const deadline = new CallDeadline(clock, 100);
  const given = pooled.run({ text: 'select slow()' }, deadline).catch((error: unknown) => error);
  await clock.advance(100);
  expect(await given).toMatchObject({ cancellation: { kind: 'deadline' }, sent: true });
  pooled.release();
  const next = take();
  connection?.refuse('57014');
  expect(await fateOf(clock, next)).toBe('pending');
  hangUp(true);
  expect((await clock.settle(next)).connection).toBe(connection);
});

test('a connection whose query does not end within the grace period is destroyed', async () => {
  const { clock, connector, take } = open({ max: 1 });
  const pooled = await take();
  const [connection] = connector.connections;
  if (connection !== undefined) connection.onCancel = () => true;
  const deadline = new CallDeadline(clock, 100);
  const given = pooled.run({ text: 'select slow()' }, deadline).catch((error: unknown) => error);
  await clock.advance(100);
  await given;
  pooled.release();
  await clock.advance(499);
  expect(connection?.alive).toBe(true);
  await clock.advance(1);
  expect(connection?.alive).toBe(false);
  expect((await clock.settle(take())).connection).toBe(connector.connections[1]);
});

test('connections idle for long are closed, and no timer is left', async () => {
  const { clock, connector, take, pool } = open({ idleTimeoutMs: 5_000 });
  (await take()).release();
  await clock.advance(5_000);
  expect(connector.connections[0]?.closed).toBe(true);
  expect(pool.snapshot().total).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

test('no connection exceeds its lifetime, which is shortened at random', async () => {
  const { clock, connector, take } = open({ max: 1, maxLifetimeMs: 10_000 });
  (await take()).release();
  for (let second = 0; second < 11; second += 1) {
    await clock.advance(1_000);
    (await clock.settle(take())).release();
  }
  expect(connector.connections[0]?.closed).toBe(true);
  expect(connector.connections).toHaveLength(2);
});

test('an idle connection beyond its lifetime is not leased', async () => {
  const { clock, connector, take } = open({
    max: 1,
    maxLifetimeMs: 10_000,
    validateAfterIdleMs: 60_000,
  });
  (await take()).release();
  await clock.advance(10_000);
  (await clock.settle(take())).release();
  expect(connector.connections[0]?.closed).toBe(true);
  expect(connector.connections).toHaveLength(2);
});

test('close waits for leased connections, and destroyAll ends them', async () => {
  const { clock, connector, take, pool } = open({ max: 1 });
  await take();
  const waiting = take();
  const closed = pool.close();
  expect(await fateOf(clock, closed)).toBe('pending');
  expect(await fateOf(clock, take())).toBe('DATABASE_CLOSED');
  pool.destroyAll();
  expect(await fateOf(clock, waiting)).toBe('DATABASE_CLOSED');
  await closed;
  expect(connector.connections[0]?.alive).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test('what the connections tell of the host: replies, losses, failed attempts, and whether any is left', async () => {
  const { clock, connector, pool, take } = open({ max: 2 });
  const never = {
    repliedMs: -Infinity,
    servedMs: -Infinity,
    deniedMs: -Infinity,
    lostMs: -Infinity,
    failedMs: -Infinity,
    unaskedMs: -Infinity,
    isFull: false,
  };
  expect(pool.evidence).toEqual({ ...never, hasConnections: false });
  await clock.advance(10);
  const [one, two] = await Promise.all([take(), take()]);
  expect(pool.evidence).toEqual({ ...never, repliedMs: 10, hasConnections: true });
  await clock.advance(10);
  connector.failure = hostError('ECONNREFUSED');
  connector.connections[0]?.lose(hostError('ECONNRESET'));
  expect(pool.evidence).toMatchObject({ lostMs: 20, hasConnections: true });
  await clock.advance(10);
  connector.connections[1]?.lose(hostError('ECONNRESET'));
  expect(pool.evidence).toMatchObject({ repliedMs: 10, lostMs: 30, hasConnections: false });
  const waiting = take(500).catch(codeOf);
  await clock.advance(300);
  expect(pool.evidence.failedMs).toBeGreaterThan(30);
  expect(await clock.settle(waiting)).toBe('DATABASE_ACQUIRE_TIMEOUT');
  one.release();
  two.release();
});

test('a server that is only full has not failed', async () => {
  const { clock, connector, pool, take } = open({ max: 2 });
  const held = await take();
  connector.failure = serverError('53300');
  const waiting = take(50).catch(codeOf);
  expect(await clock.settle(waiting)).toBe('DATABASE_ACQUIRE_TIMEOUT');
  expect(pool.counts.connectFailures).toBeGreaterThan(0);
  expect(pool.evidence.failedMs).toBe(-Infinity);
  held.release();
});

test('with outageTimeoutMs callers wait no longer for a host that is away, and on for one that is only busy', async () => {
  for (const isBusy of [false, true]) {
    const { clock, connector, take } = open({ acquireTimeoutMs: 5_000 }, { outageTimeoutMs: 300 });
    const held = isBusy ? await take() : undefined;
    connector.failure = hostError('ECONNREFUSED');
    const waiting = take();
    await clock.advance(1_000);
    expect(await fateOf(clock, waiting)).toBe(isBusy ? 'pending' : 'DATABASE_ACQUIRE_TIMEOUT');
    held?.release();
    expect(await fateOf(clock, waiting)).toBe(isBusy ? 'served' : 'DATABASE_ACQUIRE_TIMEOUT');
  }
});

test('a connection released with a statement under way is rolled back only if that left a transaction open', async () => {
  for (const status of ['I', 'T'] as const) {
    const { clock, connector, take } = open({ max: 1 });
    const pooled = await take();
    const deadline = new CallDeadline(clock, 1_000);
    void pooled.run({ text: 'select slow()' }, deadline).catch(() => undefined);
    const [connection] = connector.connections;
    pooled.release();
    if (connection !== undefined) connection.status = status;
    await clock.advance(0);
    expect(await fateOf(clock, take())).toBe('served');
    expect(connection?.sent).toEqual(['select slow()', ...(status === 'T' ? ['rollback'] : [])]);
    deadline.release();
  }
});

test('a refusal rejects those who wait, unless a connection is there that will serve them', async () => {
  const { clock, connector, take } = open({ max: 2, acquireTimeoutMs: 5_000 });
  const held = await take();
  connector.failure = serverError('28P01');
  const waiting = take();
  expect(await fateOf(clock, waiting)).toBe('pending');
  held.release();
  const served = await waiting;
  served.release(true);
  expect(await clock.settle(take().catch(codeOf))).toBe('DATABASE_CONNECT_REFUSED');
});

test('a caller that waits for exactly outageTimeoutMs when an attempt fails waits no longer', async () => {
  const { clock, connector, take } = open({ acquireTimeoutMs: 60_000 }, { outageTimeoutMs: 0 });
  connector.failure = hostError('ECONNREFUSED');
  expect(await fateOf(clock, take())).toBe('DATABASE_ACQUIRE_TIMEOUT');
});

test('a call whose time is over gets no connection, though one is free, and nobody waits for it', async () => {
  const { clock, connector, pool, take } = open({ max: 1 });
  (await take()).release();
  const deadline = new CallDeadline(clock, 10);
  await clock.advance(10);
  expect(() => pool.acquire(deadline)).toThrow(
    expect.objectContaining({ code: 'DATABASE_ACQUIRE_TIMEOUT', outcome: 'not-applied' }),
  );
  expect(pool.snapshot()).toMatchObject({ idle: 1, waiting: 0 });
  expect(connector.attempts).toBe(1);
});
